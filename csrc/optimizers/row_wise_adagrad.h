// Adagrad with one accumulator for a row, as recommender systems have it (FBGEMM's row-wise Adagrad).
#pragma once

#include "base/sum_columns.h"
#include "optimizers/adagrad.h"

namespace pyembed {

// The state of a row is the sum of the means of its squared gradients.
struct RowWiseAdagrad : Adagrad {
    static constexpr const char* name = "row_wise_adagrad";
    static StateShape state_shape(i64) { return {1, 1}; }

    template <class T>
    struct Update : Adagrad::Update<T> {
        PYEMBED_INLINE void operator()(i64, T* __restrict w, T* __restrict accumulator, const T* __restrict g,
                                       i64 dim) const {
            if (dim == 0) return;  // without a mean
            const double squares = sum_columns(dim, [g](i64 k) {
                const double value = g[k];
                return value * value;
            });
            *accumulator = static_cast<T>(*accumulator + squares / static_cast<double>(dim));
            const T rate = this->learning_rate / (square_root(*accumulator) + this->epsilon);
            const T left = this->decay;
            for (i64 k = 0; k < dim; ++k) w[k] = w[k] * left - rate * g[k];
        }
    };

    template <class T>
    Update<T> at(const StepNumbers& step, Table& table, State& state) const {
        return {Adagrad::at<T>(step, table, state)};
    }
};

}  // namespace pyembed
