// RMSprop (Hinton 2012), epsilon within the root as in keras.optimizers.RMSprop, or outside as in
// torch.optim.RMSprop.
#pragma once

#include "base/square_root.h"
#include "optimizers/rule.h"

namespace pyembed {

// The state of an element is the running mean of its squared gradients.
struct RmsProp : PlainRule {
    static constexpr const char* name = "rms_prop";
    double rho = 0.0;
    double epsilon = 0.0;
    double epsilon_outside = 0.0;

    template <class Visit>
    void visit_numbers(Visit visit) {
        visit("rho", rho);
        visit("epsilon", epsilon);
        visit("epsilon_outside", epsilon_outside);
    }
    static StateShape state_shape(i64 dim) { return {1, dim}; }

    template <class T>
    struct Update : PlainRule::Update {
        T learning_rate;
        T decay;
        T rho;
        T rho_complement;  // 1 - rho
        T epsilon;
        T epsilon_outside;

        PYEMBED_INLINE void operator()(i64, T* __restrict w, T* __restrict v, const T* __restrict g,
                                       i64 dim) const {
            const T rate = learning_rate;
            const T left = decay;
            const T keep = rho;
            const T to_v = rho_complement;
            const T inside = epsilon;
            const T outside = epsilon_outside;
            for (i64 k = 0; k < dim; ++k) {
                v[k] = keep * v[k] + to_v * (g[k] * g[k]);
                w[k] = w[k] * left - rate * g[k] / (square_root(v[k] + inside) + outside);
            }
        }
    };

    template <class T>
    Update<T> at(const StepNumbers& step, Table&, State&) const {
        return {{},
                static_cast<T>(step.learning_rate),
                static_cast<T>(step.decay),
                static_cast<T>(rho),
                static_cast<T>(1.0 - rho),
                static_cast<T>(epsilon),
                static_cast<T>(epsilon_outside)};
    }
};

}  // namespace pyembed
