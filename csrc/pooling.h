// How a bag turns its rows into one: the sum of w x, over a divisor that depends on the weights alone; or the
// maximum in each column.
#pragma once

#include <cmath>

#include "views.h"

namespace pyembed {

enum class Pooling { sum, mean, sqrtn, max };

// The divisor of one bag, from its counted weights in order of position: 1, the sum of w, or the root of
// the sum of w squared. In double, whatever the table's dtype.
class Divisor {
  public:
    explicit Divisor(Pooling pooling) : pooling_(pooling) {}
    void add(double weight) { sum_ += pooling_ == Pooling::sqrtn ? weight * weight : weight; }
    double value() const {
        if (pooling_ == Pooling::mean) return sum_;
        return pooling_ == Pooling::sqrtn ? std::sqrt(sum_) : 1.0;
    }

  private:
    Pooling pooling_;
    double sum_ = 0.0;
};

}  // namespace pyembed
