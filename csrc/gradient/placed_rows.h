// The gradient of some rows, each where it lies: copied only where it must be summed first.
#pragma once

#include "gradient/segments.h"
#include "gradient/summands.h"

namespace pyembed {

// Borrows what the summands do.
template <class T>
class PlacedRows {
  public:
    // Of each segment from pair `first` on, at which one starts: its sum.
    PlacedRows(const Segments<T>& segments, i64 first);
    // Of the summands from `first` on: each one.
    PlacedRows(const Summands<T>& summands, i64 first);

    i64 count() const { return count_; }
    const i64* rows() const { return rows_.as<i64>(); }                         // (count,)
    const T* const* places() const { return places_.template as<const T*>(); }  // (count,) of rows (D,)

  private:
    PlacedRows(const SummandsView<T>& summands, i64 first, i64 dim);
    void place(i64 row, const T* at) {
        rows_.as<i64>()[count_] = row;
        places_.template as<const T*>()[count_++] = at;
    }

    i64 count_ = 0;
    i64 dim_ = 0;
    Buffer rows_;
    Buffer places_;
    Buffer sums_;
};

}  // namespace pyembed
