// The numbers that each optimizer's update needs; the formulas are in simd/, one file a rule.
#pragma once

#include "views.h"

namespace pyembed {

// w <- decay w - learning_rate G
template <class T>
struct Sgd {
    T learning_rate;
    T decay;
};

// state (V, 1, D): the momentum buffer
template <class T>
struct Momentum {
    T learning_rate;
    T decay;
    T momentum;
    bool nesterov;
};

// state (V, 2, D): the moments m and v of a row side by side
template <class T>
struct Adam {
    double learning_rate;
    T decay;
    T beta_1_complement;  // 1 - beta_1
    T beta_2_complement;
    T epsilon;
    // The bias correction sqrt(1 - beta_2^t) / (1 - beta_1^t) at t is corrections[min(t, count) - 1].
    const double* corrections;
    i64 correction_count;
    i64* row_steps;  // (V,) t of each row, counted here; or null: the table's t stands for all, in
                     // corrections[0]
};

}  // namespace pyembed
