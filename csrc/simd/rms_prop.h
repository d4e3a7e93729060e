// RMSprop (Hinton 2012), epsilon within the root as in keras.optimizers.RMSprop, or outside as in
// torch.optim.RMSprop.
#pragma once

#include "../rules.h"
#include "square_root.h"

namespace pyembed {
namespace {

template <class T>
PYEMBED_INLINE void update(const RmsProp<T>& rule, i64, T* __restrict w, T* __restrict v,
                           const T* __restrict g, i64 dim) {
    const T rate = rule.learning_rate;
    const T decay = rule.decay;
    const T rho = rule.rho;
    const T to_v = rule.rho_complement;
    const T epsilon = rule.epsilon;
    const T outside = rule.epsilon_outside;
    for (i64 k = 0; k < dim; ++k) {
        v[k] = rho * v[k] + to_v * (g[k] * g[k]);
        w[k] = w[k] * decay - rate * g[k] / (square_root(v[k] + epsilon) + outside);
    }
}

}  // namespace
}  // namespace pyembed
