#pragma once

#include "../kernels.h"
#include "prefetch.h"
#include "sum_columns.h"

namespace pyembed {
namespace {

template <class T>
void dot_rows(Rows<const T> table, const i64* rows, i64 n, const T* vector, double* dots) {
    const i64 distance = rows_ahead<T>(table.dim);
    const i64 fetched = rows_to_prefetch(table, n);
    for (i64 i = 0; i < n; ++i) {
        prefetch_next(table, rows, i + distance, fetched);
        if (rows[i] < 0) {
            dots[i] = 0.0;
            continue;
        }
        const T* const x = table.row(rows[i]);
        dots[i] = sum_columns(table.dim, [x, vector](i64 column) {
            return static_cast<double>(x[column]) * static_cast<double>(vector[column]);
        });
    }
}

}  // namespace
}  // namespace pyembed
