// The numbers that each update of a row needs; the formulas are in simd/, one file a rule.
#pragma once

#include "skipped_view.h"
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

// state (V, 1, D): the sum of squared gradients
template <class T>
struct Adagrad {
    T learning_rate;
    T decay;
    T epsilon;
};

// state (V, 1, 1): for each row, the sum of the means of its squared gradients
template <class T>
struct RowWiseAdagrad {
    T learning_rate;
    T decay;
    T epsilon;
};

// state (V, 1, D): the running mean of squared gradients
template <class T>
struct RmsProp {
    T learning_rate;
    T decay;
    T rho;
    T rho_complement;  // 1 - rho
    T epsilon;         // within the root
    T epsilon_outside;
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

// Rows that are behind with dense Adam's steps: row r was settled at step stamps[r], and stands still where
// that is no_row.
template <class T>
struct Unsettled {
    Rows<T> state;  // (V, 2 D): m and v
    i64* stamps;    // (V,)
    SkippedView skipped;
    T epsilon;
};

// Dense Adam at sparse cost: the row is settled to the step before this one, then updated.
template <class T>
struct ExactAdam {
    Adam<T> adam;
    Unsettled<T> unsettled;
};

// The gradient of l1 sum |w| + l2 sum w^2 is added to that of each row.
template <class T>
struct Penalty {
    T l1;
    T l2;
};

// What holds for a row once it is updated: no element below zero; and, where has_norm, the Euclidean norm
// within [low, high], approached by `rate`.
struct RowConstraint {
    bool non_negative = false;
    bool has_norm = false;
    double low = 0.0;
    double high = 0.0;
    double rate = 1.0;
};

template <class T>
struct Regularization {
    Penalty<T> penalty;
    RowConstraint constraint;
};

}  // namespace pyembed
