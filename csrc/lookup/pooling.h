// How a bag turns its rows into one: the sum of w x, over a divisor that depends on the weights alone; or the
// maximum in each column. Everything that depends on the mode by itself stands here.
#pragma once

#include <cmath>

#include "base/views.h"

namespace pyembed {

// The names stand in the order of the enumeration.
enum class Pooling { mean, sum, max, sqrtn };
constexpr const char* pooling_names[] = {"mean", "sum", "max", "sqrtn"};

// Whether the sum is divided by anything but 1.
constexpr bool divides(Pooling pooling) {
    return pooling == Pooling::mean || pooling == Pooling::sqrtn;
}

// Whether one row of the bag gives an element, and not all of them: the gradient is that row's alone, the
// rows' values decide which, and weights mean nothing.
constexpr bool selects(Pooling pooling) {
    return pooling == Pooling::max;
}

// A position within a bag, as wide as a T: comparing positions then gives a mask for as many T.
template <class T>
struct PositionOf;
template <>
struct PositionOf<float> {
    using type = std::int32_t;
};
template <>
struct PositionOf<double> {
    using type = i64;
};
template <class T>
using Position = typename PositionOf<T>::type;

// The divisor of one bag, from its counted weights in order of position: 1, the sum of w, or the root of
// the sum of w squared. In double, whatever the table's dtype.
class Divisor {
  public:
    explicit Divisor(Pooling pooling) : pooling_(pooling) {}
    void add(double weight) { sum_ += pooling_ == Pooling::sqrtn ? weight * weight : weight; }
    double value() const {
        if (!divides(pooling_)) return 1.0;
        return pooling_ == Pooling::sqrtn ? std::sqrt(sum_) : sum_;
    }

  private:
    Pooling pooling_;
    double sum_ = 0.0;
};

// The gradient of a row's weight w, from the inner product d = g x of the row with the bag's upstream
// gradient g, the bag's sum of w d, and its divisor. With y the pooled row: sum: d; mean: (d - g y) / sum w;
// sqrtn: (d - w g y / sqrt(sum w^2)) / sqrt(sum w^2).
inline double weight_slope(Pooling pooling, double dot, double weight, double weighted_dots, double by) {
    if (pooling == Pooling::mean) return (dot - weighted_dots / by) / by;
    if (pooling == Pooling::sqrtn) return (dot - weight * (weighted_dots / by) / by) / by;
    return dot;
}

}  // namespace pyembed
