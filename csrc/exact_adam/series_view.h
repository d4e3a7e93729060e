// What the steps that a row has skipped amount to in dense Adam, where moments decay and still push at every
// step. With c(i) the learning rate times the bias correction of step i, f(i) its decoupled decay,
// s = sqrt(v) and a_k = beta_2^(k/2), a row last settled at step l needs at step t = l + k
//
//     w <- D w - m / (s + e) sum_p S_p (-s / (s + e))^p,  m <- beta_1^k m,  v <- beta_2^k v
//     D   = prod_{i=l+1..t} f(i)
//     S_p = sum_{i=l+1..t} c(i) beta_1^(i-l) (a_{i-l} - 1)^p prod_{j=i+1..t} f(j)
//
// because 1 / (a_k s + e) = 1 / (s + e) sum_p (-(a_k - 1) s / (s + e))^p, and |a_k - 1| is tiny while
// beta_1^k still matters. D and S_p depend on (l, t) alone: they are kept for each l, whatever the number of
// rows.
#pragma once

#include "base/views.h"

namespace pyembed {

constexpr int most_terms = 24;

// A product of factors as mantissa and exponent, so that it never underflows.
struct Product {
    double mantissa = 1.0;
    i64 exponent = 0;
};

// Powers base^k, k < 2^16 + 256, as products of two.
struct PowersView {
    const double* fine;    // base^0 … base^255
    const double* coarse;  // base^0, base^256 …

    PYEMBED_INLINE double operator()(i64 k) const { return fine[k & 255] * coarse[k >> 8]; }
};

// The sums as kernels see them: those of l lie at l & mask.
struct SeriesView {
    i64 t;
    i64 horizon;
    int terms;
    i64 mask;
    const double* sums;       // (mask + 1, terms): S_p, complete from t = l + horizon on but for later decays
    const Product* products;  // (mask + 1,): of all f up to step l
    PowersView beta_1;
    PowersView beta_2;
};

}  // namespace pyembed
