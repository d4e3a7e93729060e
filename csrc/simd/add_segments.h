#pragma once

#include "simd/reduce_segments.h"

namespace pyembed {
namespace {

template <class T>
struct AddSegment {
    Rows<T> dst;

    PYEMBED_INLINE void prefetch(i64 row) const { prefetch_row(dst.row(row), dst.dim); }
    PYEMBED_INLINE void operator()(i64 row, const T* __restrict gradient) const {
        T* __restrict const to = dst.row(row);
        for (i64 column = 0; column < dst.dim; ++column) to[column] += gradient[column];
    }
};

template <class T>
void add_segments(const SegmentsView<T>& segments, i64 begin, i64 end, T* scratch, Rows<T> dst) {
    reduce_segments(segments, begin, end, scratch, AddSegment<T>{dst});
}

}  // namespace
}  // namespace pyembed
