// Sums along a row, in double, over eight virtual lanes whatever the instruction set: the same bits with
// each.
#pragma once

#include "base/views.h"

namespace pyembed {

// The sum of term(column) over the columns [0, dim).
template <class Term>
PYEMBED_INLINE double sum_columns(i64 dim, Term term) {
    constexpr int lanes = 8;
    double sums[lanes] = {};
    i64 column = 0;
    for (; column + lanes <= dim; column += lanes)
        for (int lane = 0; lane < lanes; ++lane) sums[lane] += term(column + lane);
    for (int lane = 0; column < dim; ++column, ++lane) sums[lane] += term(column);
    for (int half = lanes / 2; half > 0; half /= 2)
        for (int lane = 0; lane < half; ++lane) sums[lane] += sums[lane + half];
    return sums[0];
}

}  // namespace pyembed
