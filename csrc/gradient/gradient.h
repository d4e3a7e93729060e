// What is made of a gradient other than a step.
#pragma once

#include <vector>

#include "gradient/segments.h"
#include "gradient/summands.h"

namespace pyembed {

// rows (count,), out (count, D): the first `count` summands
template <class T>
void expand(const Summands<T>& summands, i64 count, i64* rows, T* out);

// The gradient with each row once: its rows are counted first, so that the caller can make the arrays.
template <class T>
class Coalesced {
  public:
    // Of the segments that start before pair `stop`.
    Coalesced(const Segments<T>& segments, i64 stop);
    i64 count() const { return first_of_block_.back(); }
    // rows (count,) ascending, out (count, D)
    void write(i64* rows, T* out) const;

  private:
    const Segments<T>& segments_;
    i64 stop_;
    std::vector<i64> first_of_block_;  // the number of segments before each block of pairs, and of all
};

// dst (V, D) += the gradient
template <class T>
void add_gradient(const Segments<T>& segments, Rows<T> dst);

// The same by atomic additions, in no fixed order
template <class T>
void add_gradient_atomically(const Summands<T>& summands, Rows<T> dst);

// dst (V, D) = the gradient, zeros elsewhere
template <class T>
void write_gradient(const Segments<T>& segments, Rows<T> dst);
template <class T>
void write_gradient_atomically(const Summands<T>& summands, Rows<T> dst);

}  // namespace pyembed
