#pragma once

#include "base/prefetch.h"
#include "base/sum_columns.h"
#include "element/element.h"

namespace pyembed {
namespace {

template <class E>
void dot_rows(Rows<const E> table, const i64* rows, i64 n, const Compute<E>* vector, double* dots) {
    const i64 distance = rows_ahead<E>(table.dim);
    const i64 fetched = rows_to_prefetch(table, n);
    for (i64 i = 0; i < n; ++i) {
        prefetch_next(table, rows, i + distance, fetched);
        if (rows[i] < 0) {
            dots[i] = 0.0;
            continue;
        }
        const E* const x = table.row(rows[i]);
        dots[i] = sum_columns(table.dim, [x, vector](i64 column) {
            return static_cast<double>(x[column]) * static_cast<double>(vector[column]);
        });
    }
}

}  // namespace
}  // namespace pyembed
