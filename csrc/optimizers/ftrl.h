// FTRL-Proximal (McMahan et al., "Ad click prediction: a view from the trenches", 2013) on the touched rows
// alone, with the arguments of keras.optimizers.Ftrl.
#pragma once

#include <math.h>

#include "base/square_root.h"
#include "optimizers/rule.h"

namespace pyembed {

// The state of a row is n, the sums of squared gradients, and z, the linear terms.
struct Ftrl : PlainRule {
    static constexpr const char* name = "ftrl";
    double learning_rate_power = 0.0;
    double l1 = 0.0;
    double l2 = 0.0;
    double l2_shrinkage = 0.0;
    double beta = 0.0;

    template <class Visit>
    void visit_numbers(Visit visit) {
        visit("learning_rate_power", learning_rate_power);
        visit("l1", l1);
        visit("l2", l2);
        visit("l2_shrinkage", l2_shrinkage);
        visit("beta", beta);
    }
    static StateShape state_shape(i64 dim) { return {2, dim}; }

    template <class T>
    struct Update : PlainRule::Update {
        T learning_rate;
        T power;  // of n
        T l1;
        T twice_l2_shrinkage;
        T regular;  // 2 l2 + beta / learning_rate

        // As TensorFlow has it, an element that l1 keeps at zero is so whatever it would be divided by.
        template <class Power>
        PYEMBED_INLINE void update(T* __restrict w, T* __restrict n, T* __restrict z, const T* __restrict g,
                                   i64 dim, Power raise) const {
            const T rate = learning_rate;
            const T bound = l1;
            const T shrinkage = twice_l2_shrinkage;
            const T addend = regular;
            for (i64 k = 0; k < dim; ++k) {
                const T before = raise(n[k]);
                n[k] += g[k] * g[k];
                const T after = raise(n[k]);
                z[k] += g[k] + shrinkage * w[k] - (after - before) / rate * w[k];
                const T clipped = z[k] < -bound ? -bound : z[k] > bound ? bound : z[k];
                const T excess = clipped - z[k];
                const T solved = excess / (after / rate + addend);
                w[k] = excess == T{0} ? T{0} : solved;
            }
        }

        PYEMBED_INLINE void operator()(i64, T* __restrict w, T* __restrict state, const T* __restrict g,
                                       i64 dim) const {
            const T p = power;
            if (p == T{0.5})
                update(w, state, state + dim, g, dim, [](T x) { return square_root(x); });
            else
                update(w, state, state + dim, g, dim, [p](T x) { return static_cast<T>(::pow(x, p)); });
        }
    };

    template <class T>
    Update<T> at(const StepNumbers& step, Table&, State&) const {
        return {{},
                static_cast<T>(step.learning_rate),
                static_cast<T>(-learning_rate_power),
                static_cast<T>(l1),
                static_cast<T>(2.0 * l2_shrinkage),
                static_cast<T>(2.0 * l2 + beta / step.learning_rate)};
    }
};

}  // namespace pyembed
