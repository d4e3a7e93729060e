// A gradient, sorted: for each row of the table a segment, the run of sources that add up to its gradient.
#pragma once

#include "views.h"

namespace pyembed {

// Where gradients lie. Source s is row s of `base`, or, where `rows` is not null, the row that rows[s] points
// at; it counts coefs[s] times where `coefs` is not null, and where `winners` is not null only in the columns
// where winners[s][column] == positions[s]. Nothing is expanded to one row an id.
template <class T>
struct Sources {
    const T* base;
    i64 stride;
    const T* const* rows;
    const T* coefs;
    const Position<T>* const* winners;
    const Position<T>* positions;

    PYEMBED_INLINE const T* row(i64 source) const {
        return rows != nullptr ? rows[source] : base + source * stride;
    }
};

// Pairs (row, source) packed into 64 bits, the row on top: half the memory traffic of two arrays in a sort.
struct Pairs {
    const u64* items;
    i64 count;
    int source_bits;

    PYEMBED_INLINE i64 row(i64 i) const { return static_cast<i64>(items[i] >> source_bits); }
    PYEMBED_INLINE i64 source(i64 i) const {
        return static_cast<i64>(items[i] & ((u64{1} << source_bits) - 1));
    }
};

// A longer segment is summed in chunks of this many sources, and the chunks' sums are added up in order: so
// one hot id does not serialise a batch, and the result does not depend on who summed what. Part of the
// definition of the sum, like the order of positions: another value gives other roundings.
constexpr i64 chunk_length = 256;

struct LongSegment {
    i64 begin;
    i64 end;
    i64 first_chunk;  // of this segment, in Segments::chunk_sums
};

template <class T>
struct Segments {
    Pairs pairs;  // sorted by row, within a row in order of position
    Sources<T> sources;
    i64 dim;
    const LongSegment* long_segments;  // (long_count,) in order
    i64 long_count;
    const T* chunk_sums;  // (chunks of all long segments, dim)
};

}  // namespace pyembed
