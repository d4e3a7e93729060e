// Norms of a row, in double.
#pragma once

#include <math.h>

#include "base/sum_columns.h"

namespace pyembed {

template <class T>
PYEMBED_INLINE double euclidean_norm(const T* x, i64 dim) {
    return ::sqrt(sum_columns(dim, [x](i64 column) {
        const double value = x[column];
        return value * value;
    }));
}

// The p-norm, p > 0 or infinite.
template <class T>
PYEMBED_INLINE double row_norm(const T* x, i64 dim, double p) {
    if (p == 2.0) return euclidean_norm(x, dim);
    if (p == 1.0) return sum_columns(dim, [x](i64 column) { return ::fabs(static_cast<double>(x[column])); });
    if (::isinf(p)) {
        double most = 0.0;
        for (i64 column = 0; column < dim; ++column) {
            const double value = ::fabs(static_cast<double>(x[column]));
            most = value <= most || ::isnan(most) ? most : value;  // a nan stays, as in a sum
        }
        return most;
    }
    const double sum =
        sum_columns(dim, [x, p](i64 column) { return ::pow(::fabs(static_cast<double>(x[column])), p); });
    return ::pow(sum, 1.0 / p);
}

}  // namespace pyembed
