// What regularizers and constraints do to a row beside its update (Keras's formulas).
#pragma once

#include "base/row_norm.h"

namespace pyembed {

// The gradient of l1 sum |w| + l2 sum w^2 is added to that of each row.
struct Penalty {
    double l1 = 0.0;
    double l2 = 0.0;
};

// What holds for a row once it is updated: no element below zero; and, where has_norm, the Euclidean norm
// within [low, high], approached by `rate`.
struct RowConstraint {
    bool non_negative = false;
    bool has_norm = false;
    double low = 0.0;
    double high = 0.0;
    double rate = 1.0;
};

struct Regularization {
    Penalty penalty;
    RowConstraint constraint;
};

// The gradient with that of l1 sum |w| + l2 sum w^2: in scratch, unless there is nothing to add.
template <class T>
PYEMBED_INLINE const T* with_penalty(const Penalty& penalty, const T* w, const T* gradient, T* scratch,
                                     i64 dim) {
    const T l1 = static_cast<T>(penalty.l1);
    const T l2 = static_cast<T>(penalty.l2);
    if (l1 == T{0} && l2 == T{0}) return gradient;
    const T twice_l2 = 2 * l2;
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

}  // namespace pyembed
