// A table's history as kernels see it.
#pragma once

#include "exact_adam/series_view.h"

namespace pyembed {

// Row r was settled at step stamps[r], and stands still where that is no_row.
template <class T>
struct HistoryView {
    Rows<T> moments;  // (V, 2 D): m and v side by side
    i64* stamps;      // (V,)
    SeriesView series;
    T epsilon;
};

}  // namespace pyembed
