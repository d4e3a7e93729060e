// A gradient's stages as kernels see them.
#pragma once

#include "lookup/pooling.h"

namespace pyembed {

// What the gradients of rows are summed from: pairs of a row and a source. They are packed into 64 bits, the
// row on top: half the memory traffic of two arrays in a sort. Source s is row s of `base`, or, where
// `sources` is not null, the row that sources[s] points at; it counts coefs[s] times where `coefs` is not
// null, and where `winners` is not null only in the columns where winners[s][column] == positions[s]. Nothing
// is expanded to one row an id.
template <class T>
struct SummandsView {
    const u64* pairs;
    i64 count;
    int source_bits;
    i64 dim;
    const T* base;
    i64 stride;
    const T* const* sources;
    const T* coefs;
    const Position<T>* const* winners;
    const Position<T>* positions;

    PYEMBED_INLINE i64 row(i64 i) const { return static_cast<i64>(pairs[i] >> source_bits); }
    PYEMBED_INLINE i64 source(i64 i) const {
        return static_cast<i64>(pairs[i] & ((u64{1} << source_bits) - 1));
    }
    PYEMBED_INLINE const T* source_row(i64 source) const {
        return sources != nullptr ? sources[source] : base + source * stride;
    }
    // Of sorted pairs, the first of this row or of a later one.
    PYEMBED_INLINE i64 first_of(i64 wanted) const {
        i64 low = 0;
        for (i64 high = count; low < high;) {
            const i64 middle = low + (high - low) / 2;
            if (row(middle) < wanted)
                low = middle + 1;
            else
                high = middle;
        }
        return low;
    }
};

// A longer segment is summed in chunks of this many summands, and the chunks' sums are added up in order: so
// one hot id does not serialise a batch, and the result does not depend on who summed what. Part of the
// definition of the sum, like the order of positions: another value gives other roundings.
constexpr i64 chunk_length = 256;

struct LongSegment {
    i64 begin;
    i64 end;
    i64 first_chunk;  // of this segment, in SegmentsView::chunk_sums
};

// Summands sorted by row, within a row in order of position: for each row a segment, the run that adds up to
// its gradient.
template <class T>
struct SegmentsView {
    SummandsView<T> summands;
    const LongSegment* long_segments;  // (long_count,) in order
    i64 long_count;
    const T* chunk_sums;  // (chunks of all long segments, dim)
};

}  // namespace pyembed
