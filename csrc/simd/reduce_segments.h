// The skeleton of scatter_add, coalesce and every optimizer: for each row, the sum of its sources, once.
#pragma once

#include "../kernels.h"
#include "prefetch.h"
#include "sum_rows.h"

namespace pyembed {
namespace {

template <class T>
struct SourceTerms : PlainTerms<T> {
    Pairs pairs;
    Sources<T> sources;

    PYEMBED_INLINE SourceTerms(const Pairs& p, const Sources<T>& s) : pairs(p), sources(s) {}

    PYEMBED_INLINE const T* row(i64 i) const { return sources.row(pairs.source(i)); }
    PYEMBED_INLINE Take take() const {
        if (sources.winners != nullptr) return Take::selected;
        return sources.coefs != nullptr ? Take::scaled : Take::whole;
    }
    PYEMBED_INLINE T coefficient(i64 i) const {
        return sources.coefs != nullptr ? sources.coefs[pairs.source(i)] : T{1};
    }
    PYEMBED_INLINE const Position<T>* winners(i64 i) const { return sources.winners[pairs.source(i)]; }
    PYEMBED_INLINE Position<T> position(i64 i) const { return sources.positions[pairs.source(i)]; }
};

// Sources that nobody has fetched yet.
template <class T>
struct DistantSourceTerms : SourceTerms<T> {
    i64 end;
    i64 dim;
    i64 distance;

    PYEMBED_INLINE DistantSourceTerms(const Pairs& p, const Sources<T>& s, i64 begin, i64 e, i64 d)
        : SourceTerms<T>(p, s), end(e), dim(d), distance(rows_ahead<T>(d)) {
        for (i64 i = begin; i < end && i < begin + distance; ++i) prefetch_row(this->row(i), dim);
    }
    PYEMBED_INLINE void prefetch(i64 i) const {
        if (i + distance < end) prefetch_row(this->row(i + distance), dim);
    }
};

template <class T>
struct ChunkTerms : PlainTerms<T> {
    const T* sums;
    i64 dim;

    PYEMBED_INLINE ChunkTerms(const T* s, i64 d) : sums(s), dim(d) {}
    PYEMBED_INLINE const T* row(i64 i) const { return sums + i * dim; }
};

template <class T>
void sum_sources(const Pairs& pairs, const Sources<T>& sources, i64 begin, i64 end, i64 dim, T* out) {
    sum_rows(DistantSourceTerms<T>(pairs, sources, begin, end, dim), begin, end, dim, out);
}

template <class T>
void copy_sources(const Pairs& pairs, const Sources<T>& sources, i64 begin, i64 end, i64 dim, T* out) {
    const SourceTerms<T> terms(pairs, sources);
    for (i64 i = begin; i < end; ++i, out += dim) sum_rows(terms, i, i + 1, dim, out);
}

PYEMBED_INLINE i64 segment_end(const Pairs& pairs, i64 begin) {
    const i64 row = pairs.row(begin);
    i64 end = begin + 1;
    while (end < pairs.count && pairs.row(end) == row) ++end;
    return end;
}

// Of the long segment that starts at `begin`, by bisection.
template <class T>
i64 first_chunk(const Segments<T>& segments, i64 begin) {
    i64 low = 0;
    for (i64 high = segments.long_count; high - low > 1;) {
        const i64 middle = (low + high) / 2;
        (segments.long_segments[middle].begin <= begin ? low : high) = middle;
    }
    return segments.long_segments[low].first_chunk;
}

// The gradient of one segment: where its only source lies, else summed into scratch.
template <class T>
PYEMBED_INLINE const T* segment_sum(const Segments<T>& segments, i64 begin, i64 end, T* scratch) {
    const SourceTerms<T> terms(segments.pairs, segments.sources);
    if (end - begin == 1 && terms.take() == Take::whole) return terms.row(begin);
    if (end - begin <= chunk_length) {
        sum_rows(terms, begin, end, segments.dim, scratch);
        return scratch;
    }
    const i64 chunks = (end - begin + chunk_length - 1) / chunk_length;
    const T* const sums = segments.chunk_sums + first_chunk(segments, begin) * segments.dim;
    sum_rows(ChunkTerms<T>(sums, segments.dim), 0, chunks, segments.dim, scratch);
    return scratch;
}

// Calls use(row, G) for every segment that starts in [begin, end), and use.prefetch(row) some rows before.
template <class T, class Use>
PYEMBED_INLINE void reduce_segments(const Segments<T>& segments, i64 begin, i64 end, T* scratch, Use use) {
    const Pairs pairs = segments.pairs;
    const i64 distance = rows_ahead<T>(segments.dim);
    i64 fetched = begin;
    const auto fetch_to = [&](i64 stop) {
        for (; fetched < stop && fetched < pairs.count; ++fetched) {
            prefetch_row(segments.sources.row(pairs.source(fetched)), segments.dim);
            if (fetched == begin || pairs.row(fetched) != pairs.row(fetched - 1))
                use.prefetch(pairs.row(fetched));
        }
    };
    i64 i = begin;
    if (i > 0)
        while (i < end && pairs.row(i) == pairs.row(i - 1)) ++i;
    while (i < end) {
        const i64 stop = segment_end(pairs, i);
        if (stop - i <= chunk_length)
            fetch_to(stop + distance);
        else
            fetched = stop;  // summed already
        use(pairs.row(i), segment_sum(segments, i, stop, scratch));
        i = stop;
    }
}

}  // namespace
}  // namespace pyembed
