// Adagrad (Duchi, Hazan & Singer 2011), epsilon outside the root as in torch.optim.Adagrad.
#pragma once

#include "base/square_root.h"
#include "optimizers/rule.h"

namespace pyembed {

// The state of an element is the sum of its squared gradients.
struct Adagrad : PlainRule {
    static constexpr const char* name = "adagrad";
    double epsilon = 0.0;

    template <class Visit>
    void visit_numbers(Visit visit) {
        visit("epsilon", epsilon);
    }
    static StateShape state_shape(i64 dim) { return {1, dim}; }

    template <class T>
    struct Update : PlainRule::Update {
        T learning_rate;
        T decay;
        T epsilon;

        PYEMBED_INLINE void operator()(i64, T* __restrict w, T* __restrict accumulator, const T* __restrict g,
                                       i64 dim) const {
            const T rate = learning_rate;
            const T left = decay;
            const T small = epsilon;
            for (i64 k = 0; k < dim; ++k) {
                accumulator[k] += g[k] * g[k];
                w[k] = w[k] * left - rate * g[k] / (square_root(accumulator[k]) + small);
            }
        }
    };

    template <class T>
    Update<T> at(const StepNumbers& step, Table&, State&) const {
        return {{}, static_cast<T>(step.learning_rate), static_cast<T>(step.decay), static_cast<T>(epsilon)};
    }
};

}  // namespace pyembed
