// The names of this room's chunk loops: see base/kernel.h.
#pragma once

#include "element/element.h"
#include "exact_adam/history_view.h"

namespace pyembed {

// Settles rows of the table in place; scratch (dim,).
template <class E>
struct SettleRows {
    using Function = void(const HistoryView<Compute<E>>&, Rows<E> table, const i64* rows, i64 n,
                          Compute<E>* scratch);
};

// copies (n, dim), of rows of the table, become what they would be if they were settled; no_row is left
// alone.
template <class T>
struct SettleCopies {
    using Function = void(const HistoryView<T>&, const i64* rows, i64 n, Rows<T> copies);
};

}  // namespace pyembed
