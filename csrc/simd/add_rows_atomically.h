#pragma once

#include "../kernels.h"
#include "prefetch.h"

namespace pyembed {
namespace {

template <class T>
void add_rows_atomically(Rows<T> dst, const i64* rows, i64 n, const T* values, i64 stride) {
    for (i64 i = 0; i < n; ++i, values += stride) {
        const i64 next = i + prefetch_distance;
        if (next < n && rows[next] >= 0) prefetch_row(dst.row(rows[next]), dst.dim, true);
        if (rows[i] < 0) continue;
        T* const row = dst.row(rows[i]);
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
