// The names of this room's chunk loops: see base/kernel.h. Those over segments take the segments that start
// in [begin, end) of the pairs, and scratch (dim,).
#pragma once

#include "gradient/views.h"

namespace pyembed {

// dst[row of pair i] += values[i - begin] for the pairs [begin, end), each element atomically
template <class T>
struct AddRowsAtomically {
    using Function = void(const SummandsView<T>&, i64 begin, i64 end, const T* values, Rows<T> dst);
};

// out (end - begin, dim): the summands [begin, end), each times its coefficient
template <class T>
struct CopySummands {
    using Function = void(const SummandsView<T>&, i64 begin, i64 end, T* out);
};

// out (dim,): the sum of the summands [begin, end)
template <class T>
struct SumSummands {
    using Function = void(const SummandsView<T>&, i64 begin, i64 end, T* out);
};

// rows (segments,), out (segments, dim): each segment's row and sum
template <class T>
struct StoreSegments {
    using Function = void(const SegmentsView<T>&, i64 begin, i64 end, T* scratch, i64* rows, T* out);
};

// dst[row] += the segment's sum
template <class T>
struct AddSegments {
    using Function = void(const SegmentsView<T>&, i64 begin, i64 end, T* scratch, Rows<T> dst);
};

}  // namespace pyembed
