#pragma once

#include "base/prefetch.h"
#include "element/element.h"
#include "exact_adam/settling.h"

namespace pyembed {
namespace {

template <class T>
PYEMBED_INLINE void prefetch_history(const HistoryView<T>& history, i64 row) {
    prefetch_line(history.stamps + row);
    prefetch_row(history.moments.row(row), history.moments.dim);
}

template <class E>
void settle_rows(const HistoryView<Compute<E>>& history, Rows<E> table, const i64* rows, i64 n,
                 Compute<E>* scratch) {
    const i64 distance = rows_ahead<E>(table.dim);
    for (i64 i = 0; i < n; ++i) {
        if (i + distance < n) {
            const i64 next = rows[i + distance];
            prefetch_row(table.row(next), table.dim);
            prefetch_history(history, next);
        }
        E* const row = table.row(rows[i]);
        Compute<E>* const w = open_row(row, scratch, table.dim);
        settle_row(history, rows[i], w, table.dim);
        close_row(row, w, table.dim);
    }
}

template <class T>
void settle_copies(const HistoryView<T>& history, const i64* rows, i64 n, Rows<T> copies) {
    const i64 distance = rows_ahead<T>(copies.dim);
    for (i64 i = 0; i < n; ++i) {
        const i64 next = i + distance;
        if (next < n && rows[next] >= 0) prefetch_history(history, rows[next]);
        if (rows[i] >= 0) settle_copy(history, rows[i], copies.row(i), copies.dim);
    }
}

}  // namespace
}  // namespace pyembed
