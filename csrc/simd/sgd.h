// Stochastic gradient descent, plain and with momentum as PyTorch defines it (no dampening).
#pragma once

#include "../rules.h"

namespace pyembed {
namespace {

template <class T>
PYEMBED_INLINE void update(const Sgd<T>& rule, i64, T* __restrict w, T*, const T* __restrict g, i64 dim) {
    const T rate = rule.learning_rate;
    const T decay = rule.decay;
    for (i64 k = 0; k < dim; ++k) w[k] = w[k] * decay - rate * g[k];
}

template <class T>
PYEMBED_INLINE void update(const Momentum<T>& rule, i64, T* __restrict w, T* __restrict buffer,
                           const T* __restrict g, i64 dim) {
    const T rate = rule.learning_rate;
    const T decay = rule.decay;
    const T momentum = rule.momentum;
    for (i64 k = 0; k < dim; ++k) {
        buffer[k] = momentum * buffer[k] + g[k];
        const T direction = rule.nesterov ? g[k] + momentum * buffer[k] : buffer[k];
        w[k] = w[k] * decay - rate * direction;
    }
}

}  // namespace
}  // namespace pyembed
