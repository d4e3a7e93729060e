// Stochastic gradient descent with momentum, as PyTorch defines it (no dampening).
#pragma once

#include "optimizers/rule.h"

namespace pyembed {

// The state of an element is its momentum.
struct Momentum : PlainRule {
    static constexpr const char* name = "momentum";
    double momentum = 0.0;
    double nesterov = 0.0;  // 1: yes

    template <class Visit>
    void visit_numbers(Visit visit) {
        visit("momentum", momentum);
        visit("nesterov", nesterov);
    }
    static StateShape state_shape(i64 dim) { return {1, dim}; }

    template <class T>
    struct Update : PlainRule::Update {
        T learning_rate;
        T decay;
        T momentum;
        bool nesterov;

        PYEMBED_INLINE void operator()(i64, T* __restrict w, T* __restrict buffer, const T* __restrict g,
                                       i64 dim) const {
            const T rate = learning_rate;
            const T left = decay;
            const T mu = momentum;
            for (i64 k = 0; k < dim; ++k) {
                buffer[k] = mu * buffer[k] + g[k];
                const T direction = nesterov ? g[k] + mu * buffer[k] : buffer[k];
                w[k] = w[k] * left - rate * direction;
            }
        }
    };

    template <class T>
    Update<T> at(const StepNumbers& step, Table&, State&) const {
        return {{},
                static_cast<T>(step.learning_rate),
                static_cast<T>(step.decay),
                static_cast<T>(momentum),
                nesterov != 0.0};
    }
};

}  // namespace pyembed
