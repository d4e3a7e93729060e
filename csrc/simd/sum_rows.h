// The one sum of the library: rows in a given order, each times its coefficient, over blocks of columns that
// stay in registers.
#pragma once

#include "../views.h"

namespace pyembed {
namespace {

// Terms has row(i) -> const T*, weighted() and coefficient(i). No std:: here: see views.h.
template <int width, bool weighted, class T, class Terms>
PYEMBED_INLINE void sum_block(const Terms& terms, i64 begin, i64 end, i64 column, T* __restrict out) {
    T sum[width] = {};
    for (i64 i = begin; i < end; ++i) {
        const T* __restrict const x = terms.row(i) + column;
        const T c = weighted ? terms.coefficient(i) : T{1};
        for (int k = 0; k < width; ++k) sum[k] += weighted ? c * x[k] : x[k];
    }
    for (int k = 0; k < width; ++k) out[k] = sum[k];
}

template <bool weighted, class T, class Terms>
PYEMBED_INLINE void sum_rows(const Terms& terms, i64 begin, i64 end, i64 dim, T* out) {
    constexpr int wide = 256 / sizeof(T);
    constexpr int narrow = 64 / sizeof(T);
    i64 column = 0;
    for (; column + wide <= dim; column += wide)
        sum_block<wide, weighted>(terms, begin, end, column, out + column);
    for (; column + narrow <= dim; column += narrow)
        sum_block<narrow, weighted>(terms, begin, end, column, out + column);
    for (; column < dim; ++column) sum_block<1, weighted>(terms, begin, end, column, out + column);
}

// out (dim,) = the sum of the terms [begin, end)
template <class T, class Terms>
PYEMBED_INLINE void sum_rows(const Terms& terms, i64 begin, i64 end, i64 dim, T* out) {
    if (terms.weighted())
        sum_rows<true>(terms, begin, end, dim, out);
    else
        sum_rows<false>(terms, begin, end, dim, out);
}

}  // namespace
}  // namespace pyembed
