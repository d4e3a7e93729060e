// Adagrad (Duchi, Hazan & Singer 2011), epsilon outside the root as in torch.optim.Adagrad; and with one
// accumulator for a row, as recommender systems have it (FBGEMM's row-wise Adagrad).
#pragma once

#include "../rules.h"
#include "square_root.h"
#include "sum_columns.h"

namespace pyembed {
namespace {

template <class T>
PYEMBED_INLINE void update(const Adagrad<T>& rule, i64, T* __restrict w, T* __restrict accumulator,
                           const T* __restrict g, i64 dim) {
    const T rate = rule.learning_rate;
    const T decay = rule.decay;
    const T epsilon = rule.epsilon;
    for (i64 k = 0; k < dim; ++k) {
        accumulator[k] += g[k] * g[k];
        w[k] = w[k] * decay - rate * g[k] / (square_root(accumulator[k]) + epsilon);
    }
}

template <class T>
PYEMBED_INLINE void update(const RowWiseAdagrad<T>& rule, i64, T* __restrict w, T* __restrict accumulator,
                           const T* __restrict g, i64 dim) {
    if (dim == 0) return;  // without a mean
    const double squares = sum_columns(dim, [g](i64 k) {
        const double value = g[k];
        return value * value;
    });
    *accumulator = static_cast<T>(*accumulator + squares / static_cast<double>(dim));
    const T rate = rule.learning_rate / (square_root(*accumulator) + rule.epsilon);
    const T decay = rule.decay;
    for (i64 k = 0; k < dim; ++k) w[k] = w[k] * decay - rate * g[k];
}

}  // namespace
}  // namespace pyembed
