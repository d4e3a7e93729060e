#pragma once

#include <string.h>

#include "simd/reduce_segments.h"

namespace pyembed {
namespace {

template <class T>
struct StoreSegment {
    i64* rows;
    T* out;
    i64 dim;

    PYEMBED_INLINE void prefetch(i64) const {}
    PYEMBED_INLINE void operator()(i64 row, const T* gradient) {
        *rows++ = row;
        memcpy(out, gradient, static_cast<size_t>(dim) * sizeof(T));
        out += dim;
    }
};

template <class T>
void store_segments(const SegmentsView<T>& segments, i64 begin, i64 end, T* scratch, i64* rows, T* out) {
    reduce_segments(segments, begin, end, scratch, StoreSegment<T>{rows, out, segments.summands.dim});
}

}  // namespace
}  // namespace pyembed
