// Adam (Kingma & Ba 2015) on the touched rows alone, epsilon before the bias correction (the "epsilon hat" of
// the paper's section 2), as TensorFlow's LazyAdam and torch.optim.SparseAdam have it.
#pragma once

#include "base/square_root.h"
#include "optimizers/rule.h"

namespace pyembed {

// The state of a row is its moments, m and v. Where the state counts steps by row, t is the row's own.
struct Adam : PlainRule {
    static constexpr const char* name = "adam";
    double beta_1 = 0.0;
    double beta_2 = 0.0;
    double epsilon = 0.0;

    template <class Visit>
    void visit_numbers(Visit visit) {
        visit("beta_1", beta_1);
        visit("beta_2", beta_2);
        visit("epsilon", epsilon);
    }
    static StateShape state_shape(i64 dim) { return {2, dim}; }

    // sqrt(1 - beta_2^t) / (1 - beta_1^t)
    double bias_correction(i64 t) const;

    template <class T>
    struct Update : PlainRule::Update {
        double learning_rate;
        double correction;  // at the table's t
        T decay;
        T beta_1_complement;  // 1 - beta_1
        T beta_2_complement;
        T epsilon;
        // Where row_steps (V,) is not null, t is row_steps[row], counted here, and its correction is
        // corrections[min(t, correction_count) - 1].
        i64* row_steps;
        const double* corrections;
        i64 correction_count;

        PYEMBED_INLINE double correction_of(i64 row) const {
            if (row_steps == nullptr) return correction;
            // From 0, and as unsigned: a count below 0, written by a caller, must not lead out of the array.
            const u64 at = static_cast<u64>(row_steps[row]++);
            const u64 last = static_cast<u64>(correction_count - 1);
            return corrections[at < last ? at : last];
        }

        PYEMBED_INLINE void operator()(i64 row, T* __restrict w, T* __restrict moments, const T* __restrict g,
                                       i64 dim) const {
            T* __restrict const m = moments;
            T* __restrict const v = moments + dim;
            const T rate = static_cast<T>(learning_rate * correction_of(row));
            const T left = decay;
            const T to_m = beta_1_complement;
            const T to_v = beta_2_complement;
            const T small = epsilon;
            for (i64 k = 0; k < dim; ++k) {
                m[k] += to_m * (g[k] - m[k]);
                v[k] += to_v * (g[k] * g[k] - v[k]);
                w[k] = w[k] * left - rate * m[k] / (square_root(v[k]) + small);
            }
        }
    };

    void reserve(Table& table, State& state, i64 t) const;
    template <class T>
    Update<T> at(const StepNumbers& step, Table& table, State& state) const;
};

}  // namespace pyembed
