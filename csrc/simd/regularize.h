// What regularizers and constraints do to a row beside its update (Keras's formulas).
#pragma once

#include "../rules.h"
#include "row_norms.h"

namespace pyembed {
namespace {

// The gradient with that of l1 sum |w| + l2 sum w^2: in scratch, unless there is nothing to add.
template <class T>
PYEMBED_INLINE const T* with_penalty(const Penalty<T>& penalty, const T* w, const T* gradient, T* scratch,
                                     i64 dim) {
    if (penalty.l1 == T{0} && penalty.l2 == T{0}) return gradient;
    const T l1 = penalty.l1;
    const T twice_l2 = 2 * penalty.l2;
    for (i64 k = 0; k < dim; ++k) {
        const T sign = static_cast<T>(w[k] > T{0}) - static_cast<T>(w[k] < T{0});
        scratch[k] = gradient[k] + l1 * sign + twice_l2 * w[k];
    }
    return scratch;
}

template <class T>
PYEMBED_INLINE void constrain(const RowConstraint& constraint, T* w, i64 dim) {
    if (constraint.non_negative)
        for (i64 k = 0; k < dim; ++k) w[k] = w[k] < T{0} ? T{0} : w[k];
    if (!constraint.has_norm) return;
    const double norm = euclidean_norm(w, dim);
    double wanted = norm < constraint.low ? constraint.low : norm > constraint.high ? constraint.high : norm;
    if (constraint.rate != 1.0) wanted = constraint.rate * wanted + (1.0 - constraint.rate) * norm;
    const T factor = static_cast<T>(wanted / (1e-7 + norm));
    for (i64 k = 0; k < dim; ++k) w[k] *= factor;
}

}  // namespace
}  // namespace pyembed
