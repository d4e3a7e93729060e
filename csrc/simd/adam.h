// Adam (Kingma & Ba 2015) on the touched rows alone, epsilon before the bias correction (the "epsilon hat" of
// the paper's section 2), as TensorFlow's LazyAdam and torch.optim.SparseAdam have it.
#pragma once

#include "../rules.h"
#include "square_root.h"

namespace pyembed {
namespace {

template <class T>
PYEMBED_INLINE double bias_correction(const Adam<T>& rule, i64 row) {
    if (rule.row_steps == nullptr) return rule.corrections[0];
    // From 0, and as unsigned: a count below 0, written by a caller, must not lead out of the array.
    const u64 at = static_cast<u64>(rule.row_steps[row]++);
    const u64 last = static_cast<u64>(rule.correction_count - 1);
    return rule.corrections[at < last ? at : last];
}

template <class T>
PYEMBED_INLINE void update(const Adam<T>& rule, i64 row, T* __restrict w, T* __restrict moments,
                           const T* __restrict g, i64 dim) {
    T* __restrict const m = moments;
    T* __restrict const v = moments + dim;
    const T rate = static_cast<T>(rule.learning_rate * bias_correction(rule, row));
    const T decay = rule.decay;
    const T to_m = rule.beta_1_complement;
    const T to_v = rule.beta_2_complement;
    const T epsilon = rule.epsilon;
    for (i64 k = 0; k < dim; ++k) {
        m[k] += to_m * (g[k] - m[k]);
        v[k] += to_v * (g[k] * g[k] - v[k]);
        w[k] = w[k] * decay - rate * m[k] / (square_root(v[k]) + epsilon);
    }
}

}  // namespace
}  // namespace pyembed
