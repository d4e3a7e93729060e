#pragma once

#include "base/prefetch.h"
#include "base/row_norm.h"

namespace pyembed {
namespace {

template <class E>
void row_norms(Rows<const E> table, const i64* rows, i64 n, double p, double* norms) {
    const i64 distance = rows_ahead<E>(table.dim);
    const i64 fetched = rows_to_prefetch(table, n);
    for (i64 i = 0; i < n; ++i) {
        prefetch_next(table, rows, i + distance, fetched);
        norms[i] = rows[i] >= 0 ? row_norm(table.row(rows[i]), table.dim, p) : 0.0;
    }
}

}  // namespace
}  // namespace pyembed
