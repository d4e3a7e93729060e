// The one sum of the library: rows in a given order, each times its coefficient, over blocks of columns that
// stay in registers.
#pragma once

#include "lanes.h"

namespace pyembed {
namespace {

// The sum's elements [column, column + count lanes of V), in count registers.
// Terms has row(i) -> const T*, weighted(), coefficient(i), and prefetch(i), called once for each i, for what
// comes after it. No std:: here: see views.h.
template <class V, int count, bool weighted, class T, class Terms>
PYEMBED_INLINE i64 sum_block(const Terms& terms, i64 begin, i64 end, i64 column, T* out) {
    constexpr i64 lanes = sizeof(V) / sizeof(T);
    V sum[count] = {};
    for (i64 i = begin; i < end; ++i) {
        if (column == 0) terms.prefetch(i);
        const T* const x = terms.row(i) + column;
        const T c = weighted ? terms.coefficient(i) : T{1};
        for (int k = 0; k < count; ++k) {
            const V& value = *reinterpret_cast<const V*>(x + k * lanes);
            sum[k] += weighted ? c * value : value;
        }
    }
    for (int k = 0; k < count; ++k) *reinterpret_cast<V*>(out + column + k * lanes) = sum[k];
    return column + count * lanes;
}

template <bool weighted, class T, class Terms>
PYEMBED_INLINE void sum_rows(const Terms& terms, i64 begin, i64 end, i64 dim, T* out) {
    constexpr int many = 4;
    constexpr i64 lanes = sizeof(Lanes<T>) / sizeof(T);
    i64 column = 0;
    while (column + many * lanes <= dim)
        column = sum_block<Lanes<T>, many, weighted>(terms, begin, end, column, out);
    while (column + lanes <= dim) column = sum_block<Lanes<T>, 1, weighted>(terms, begin, end, column, out);
    while (column < dim) column = sum_block<T, 1, weighted>(terms, begin, end, column, out);
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
