// The skeleton of scatter_add, coalesce and every optimizer: for each row, the sum of its sources, once.
#pragma once

#include "base/prefetch.h"
#include "gradient/views.h"
#include "simd/sum_rows.h"

namespace pyembed {
namespace {

template <class T>
struct SummandTerms : PlainTerms<T> {
    SummandsView<T> summands;

    PYEMBED_INLINE explicit SummandTerms(const SummandsView<T>& s) : summands(s) {}

    PYEMBED_INLINE const T* row(i64 i) const { return summands.source_row(summands.source(i)); }
    PYEMBED_INLINE Take take() const {
        if (summands.winners != nullptr) return Take::selected;
        return summands.coefs != nullptr ? Take::scaled : Take::whole;
    }
    PYEMBED_INLINE T coefficient(i64 i) const {
        return summands.coefs != nullptr ? summands.coefs[summands.source(i)] : T{1};
    }
    PYEMBED_INLINE const Position<T>* winners(i64 i) const { return summands.winners[summands.source(i)]; }
    PYEMBED_INLINE Position<T> position(i64 i) const { return summands.positions[summands.source(i)]; }
};

// Those that nobody has fetched yet.
template <class T>
struct DistantTerms : SummandTerms<T> {
    i64 end;
    i64 distance;

    PYEMBED_INLINE DistantTerms(const SummandsView<T>& s, i64 begin, i64 e)
        : SummandTerms<T>(s), end(e), distance(rows_ahead<T>(s.dim)) {
        for (i64 i = begin; i < end && i < begin + distance; ++i) prefetch_row(this->row(i), s.dim);
    }
    PYEMBED_INLINE void prefetch(i64 i) const {
        if (i + distance < end) prefetch_row(this->row(i + distance), this->summands.dim);
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
void sum_summands(const SummandsView<T>& summands, i64 begin, i64 end, T* out) {
    sum_rows(DistantTerms<T>(summands, begin, end), begin, end, summands.dim, out);
}

template <class T>
void copy_summands(const SummandsView<T>& summands, i64 begin, i64 end, T* out) {
    const SummandTerms<T> terms(summands);
    for (i64 i = begin; i < end; ++i, out += summands.dim) sum_rows(terms, i, i + 1, summands.dim, out);
}

template <class T>
PYEMBED_INLINE i64 segment_end(const SummandsView<T>& summands, i64 begin) {
    const i64 row = summands.row(begin);
    i64 end = begin + 1;
    while (end < summands.count && summands.row(end) == row) ++end;
    return end;
}

// Of the long segment that starts at `begin`, by bisection.
template <class T>
i64 first_chunk(const SegmentsView<T>& segments, i64 begin) {
    i64 low = 0;
    for (i64 high = segments.long_count; high - low > 1;) {
        const i64 middle = (low + high) / 2;
        (segments.long_segments[middle].begin <= begin ? low : high) = middle;
    }
    return segments.long_segments[low].first_chunk;
}

// The gradient of one segment, summed into scratch. Out of line: every step has this in it, and a row's
// update is long beside the call.
template <class T>
PYEMBED_OUT_OF_LINE void sum_segment(const SegmentsView<T>& segments, i64 begin, i64 end, T* scratch) {
    const i64 dim = segments.summands.dim;
    if (end - begin <= chunk_length) {
        sum_rows(SummandTerms<T>(segments.summands), begin, end, dim, scratch);
        return;
    }
    const i64 chunks = (end - begin + chunk_length - 1) / chunk_length;
    const T* const sums = segments.chunk_sums + first_chunk(segments, begin) * dim;
    sum_rows(ChunkTerms<T>(sums, dim), 0, chunks, dim, scratch);
}

// The same where its only summand lies, if it is that as it is.
template <class T>
PYEMBED_INLINE const T* segment_gradient(const SegmentsView<T>& segments, i64 begin, i64 end, T* scratch) {
    const SummandTerms<T> terms(segments.summands);
    if (end - begin == 1 && terms.take() == Take::whole) return terms.row(begin);
    sum_segment(segments, begin, end, scratch);
    return scratch;
}

// Calls use(row, G) for every segment that starts in [begin, end), and use.prefetch(row) some rows before.
template <class T, class Use>
PYEMBED_INLINE void reduce_segments(const SegmentsView<T>& segments, i64 begin, i64 end, T* scratch,
                                    Use use) {
    const SummandsView<T> summands = segments.summands;
    const i64 distance = rows_ahead<T>(summands.dim);
    i64 fetched = begin;
    const auto fetch_to = [&](i64 stop) {
        for (; fetched < stop && fetched < summands.count; ++fetched) {
            prefetch_row(summands.source_row(summands.source(fetched)), summands.dim);
            if (fetched == begin || summands.row(fetched) != summands.row(fetched - 1))
                use.prefetch(summands.row(fetched));
        }
    };
    i64 i = begin;
    if (i > 0)
        while (i < end && summands.row(i) == summands.row(i - 1)) ++i;
    while (i < end) {
        const i64 stop = segment_end(summands, i);
        if (stop - i <= chunk_length)
            fetch_to(stop + distance);
        else
            fetched = stop;  // summed already
        use(summands.row(i), segment_gradient(segments, i, stop, scratch));
        i = stop;
    }
}

}  // namespace
}  // namespace pyembed
