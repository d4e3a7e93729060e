#pragma once

#include "base/prefetch.h"
#include "gradient/views.h"

namespace pyembed {
namespace {

template <class T>
void add_rows_atomically(const SummandsView<T>& summands, i64 begin, i64 end, const T* values, Rows<T> dst) {
    const i64 distance = rows_ahead<T>(dst.dim);
    for (i64 i = begin; i < end; ++i, values += dst.dim) {
        if (i + distance < end) prefetch_row(dst.row(summands.row(i + distance)), dst.dim);
        T* const row = dst.row(summands.row(i));
        for (i64 column = 0; column < dst.dim; ++column) {
#if defined(_OPENMP)
#pragma omp atomic
#endif
            row[column] += values[column];
        }
    }
}

}  // namespace
}  // namespace pyembed
