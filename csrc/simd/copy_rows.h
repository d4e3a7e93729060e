#pragma once

#include <string.h>

#include "base/prefetch.h"

namespace pyembed {
namespace {

// Blocks of a fixed size, so that memcpy becomes a few moves; the last block overlaps the one before it.
template <int width, class T>
PYEMBED_INLINE void copy_row(const T* __restrict from, i64 dim, T* __restrict to) {
    i64 column = 0;
    for (; column + width <= dim; column += width) memcpy(to + column, from + column, width * sizeof(T));
    if (column < dim) memcpy(to + dim - width, from + dim - width, width * sizeof(T));
}

// How narrow rows are copied: a loop over so few numbers would cost more than they do.
template <int width>
struct NarrowRow {
    template <class T>
    PYEMBED_INLINE void operator()(const T* __restrict from, i64, T* __restrict to) const {
        memcpy(to, from, width * sizeof(T));
    }
};

template <int width>
struct BlocksOfRow {
    template <class T>
    PYEMBED_INLINE void operator()(const T* __restrict from, i64 dim, T* __restrict to) const {
        copy_row<width>(from, dim, to);
    }
};

// Calls use(copy) with what copies rows of that width fastest.
template <class T, class Use>
PYEMBED_INLINE void with_copy_of_row(i64 dim, Use use) {
    constexpr int wide = 64 / sizeof(T);
    constexpr int narrow = 16 / sizeof(T);
    if (dim >= wide) return use(BlocksOfRow<wide>());
    if (dim == 8) return use(NarrowRow<8>());
    if (dim == 4) return use(NarrowRow<4>());
    if (dim == 3) return use(NarrowRow<3>());
    if (dim == 2) return use(NarrowRow<2>());
    if (dim == 1) return use(NarrowRow<1>());
    if (dim > 0) return use(BlocksOfRow<narrow>());
}

// out (n, dim): rows of the table (V, dim), zeros for no_row
template <class T>
void copy_rows(Rows<const T> table, const i64* rows, i64 n, i64 ahead, T* out, i64 out_stride) {
    const i64 distance = rows_ahead<T>(table.dim);
    const i64 fetched = rows_to_prefetch(table, n + ahead);
    with_copy_of_row<T>(table.dim, [&](auto copy) {
        for (i64 i = 0; i < n; ++i) {
            prefetch_next(table, rows, i + distance, fetched);
            T* const to = out + i * out_stride;
            if (rows[i] >= 0)
                copy(table.row(rows[i]), table.dim, to);
            else
                memset(to, 0, static_cast<size_t>(table.dim) * sizeof(T));
        }
    });
}

}  // namespace
}  // namespace pyembed
