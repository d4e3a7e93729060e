// Stochastic gradient descent.
#pragma once

#include "optimizers/rule.h"

namespace pyembed {

struct Sgd : PlainRule {
    static constexpr const char* name = "sgd";
    static StateShape state_shape(i64 dim) { return {0, dim}; }

    template <class T>
    struct Update : PlainRule::Update {
        T learning_rate;
        T decay;

        PYEMBED_INLINE void operator()(i64, T* __restrict w, T*, const T* __restrict g, i64 dim) const {
            const T rate = learning_rate;
            const T left = decay;
            for (i64 k = 0; k < dim; ++k) w[k] = w[k] * left - rate * g[k];
        }
    };

    template <class T>
    Update<T> at(const StepNumbers& step, Table&, State&) const {
        return {{}, static_cast<T>(step.learning_rate), static_cast<T>(step.decay)};
    }
};

}  // namespace pyembed
