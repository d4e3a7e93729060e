#pragma once

#include <string.h>

#include "../kernels.h"
#include "prefetch.h"

namespace pyembed {
namespace {

// Blocks of a fixed size, so that memcpy becomes a few moves; the last block overlaps the one before it.
template <int width, class T>
PYEMBED_INLINE void copy_row(const T* __restrict from, i64 dim, T* __restrict to) {
    i64 column = 0;
    for (; column + width <= dim; column += width) memcpy(to + column, from + column, width * sizeof(T));
    if (column < dim) memcpy(to + dim - width, from + dim - width, width * sizeof(T));
}

template <class T>
PYEMBED_INLINE void copy_row(const T* __restrict from, i64 dim, T* __restrict to) {
    constexpr int wide = 64 / sizeof(T);
    constexpr int narrow = 16 / sizeof(T);
    if (dim >= wide)
        copy_row<wide>(from, dim, to);
    else if (dim >= narrow)
        copy_row<narrow>(from, dim, to);
    else
        for (i64 column = 0; column < dim; ++column) to[column] = from[column];
}

template <class T>
void copy_rows(Rows<const T> table, const i64* rows, i64 n, i64 ahead, T* out, i64 out_stride) {
    const i64 distance = rows_ahead<T>(table.dim);
    for (i64 i = 0; i < n; ++i, out += out_stride) {
        const i64 next = i + distance;
        if (next < n + ahead && rows[next] >= 0) prefetch_row(table.row(rows[next]), table.dim);
        if (rows[i] >= 0)
            copy_row(table.row(rows[i]), table.dim, out);
        else
            memset(out, 0, static_cast<size_t>(table.dim) * sizeof(T));
    }
}

}  // namespace
}  // namespace pyembed
