// Lion (Chen et al., "Symbolic discovery of optimization algorithms", 2023) on the touched rows alone.
#pragma once

#include "optimizers/rule.h"

namespace pyembed {

// The state of an element is its momentum.
struct Lion : PlainRule {
    static constexpr const char* name = "lion";
    double beta_1 = 0.0;
    double beta_2 = 0.0;

    template <class Visit>
    void visit_numbers(Visit visit) {
        visit("beta_1", beta_1);
        visit("beta_2", beta_2);
    }
    static StateShape state_shape(i64 dim) { return {1, dim}; }

    template <class T>
    struct Update : PlainRule::Update {
        T learning_rate;
        T decay;
        T beta_1;
        T beta_1_complement;
        T beta_2;
        T beta_2_complement;

        PYEMBED_INLINE void operator()(i64, T* __restrict w, T* __restrict m, const T* __restrict g,
                                       i64 dim) const {
            const T rate = learning_rate;
            const T left = decay;
            const T keep_1 = beta_1;
            const T take_1 = beta_1_complement;
            const T keep_2 = beta_2;
            const T take_2 = beta_2_complement;
            for (i64 k = 0; k < dim; ++k) {
                const T direction = keep_1 * m[k] + take_1 * g[k];
                const T other = direction == T{0} ? T{0} : direction;  // a nan stays one
                const T sign = direction > T{0} ? T{1} : direction < T{0} ? T{-1} : other;
                w[k] = w[k] * left - rate * sign;
                m[k] = keep_2 * m[k] + take_2 * g[k];
            }
        }
    };

    template <class T>
    Update<T> at(const StepNumbers& step, Table&, State&) const {
        return {{},
                static_cast<T>(step.learning_rate),
                static_cast<T>(step.decay),
                static_cast<T>(beta_1),
                static_cast<T>(1.0 - beta_1),
                static_cast<T>(beta_2),
                static_cast<T>(1.0 - beta_2)};
    }
};

}  // namespace pyembed
