// How a row is settled: the formula of series_view.h.
#pragma once

#include <math.h>

#include "base/square_root.h"
#include "exact_adam/history_view.h"

namespace pyembed {

// The numbers of the series for one row.
template <class T>
struct RowSeries {
    T decay;
    T m_decay;
    T v_decay;
    T sums[most_terms];
};

// The product of the factors after step l.
PYEMBED_INLINE double product_since(const SeriesView& series, i64 l) {
    const Product now = series.products[series.t & series.mask];
    const Product then = series.products[l & series.mask];
    const double ratio = now.mantissa / then.mantissa;
    return now.exponent == then.exponent ? ratio
                                         : ::ldexp(ratio, static_cast<int>(now.exponent - then.exponent));
}

template <class T>
PYEMBED_INLINE void series_since(const SeriesView& series, i64 l, RowSeries<T>& out) {
    const i64 k = series.t - l;
    const double* const sums = series.sums + (l & series.mask) * series.terms;
    const double later = k > series.horizon ? product_since(series, l + series.horizon) : 1.0;
    for (int p = 0; p < series.terms; ++p) out.sums[p] = static_cast<T>(sums[p] * later);
    out.decay = static_cast<T>(product_since(series, l));
    out.m_decay = static_cast<T>(series.beta_1(k));
    out.v_decay = static_cast<T>(series.beta_2(k));
}

// w, settled; root = sqrt(v).
template <int terms, class T>
PYEMBED_INLINE T settled(const RowSeries<T>& series, T epsilon, T w, T m, T root) {
    const T by = T{1} / (root + epsilon);
    const T x = -(root * by);
    T sum = series.sums[terms - 1];
    for (int p = terms - 2; p >= 0; --p) sum = sum * x + series.sums[p];
    return w * series.decay - m * by * sum;
}

template <int terms, class T>
PYEMBED_INLINE void settle_row(const RowSeries<T>& series, T epsilon, T* __restrict w, T* __restrict m,
                               T* __restrict v, i64 dim) {
    for (i64 k = 0; k < dim; ++k) {
        w[k] = settled<terms>(series, epsilon, w[k], m[k], square_root(v[k]));
        m[k] *= series.m_decay;
        v[k] *= series.v_decay;
    }
}

template <int terms, class T>
PYEMBED_INLINE void settle_copy(const RowSeries<T>& series, T epsilon, T* __restrict w, const T* __restrict m,
                                const T* __restrict v, i64 dim) {
    for (i64 k = 0; k < dim; ++k) w[k] = settled<terms>(series, epsilon, w[k], m[k], square_root(v[k]));
}

template <int terms>
struct Terms {
    static constexpr int count = terms;
};

// Calls f with as many terms as a compile-time number, for loops that it unrolls.
template <class F>
PYEMBED_INLINE void with_terms(int terms, F f) {
    switch (terms) {
        case 1:
            return f(Terms<1>{});
        case 6:
            return f(Terms<6>{});
        case 12:
            return f(Terms<12>{});
        default:
            return f(Terms<most_terms>{});
    }
}

// Whether the row has steps to make up for: not if it is up to date, or stands still (no_row, which is large
// here), or is ahead: a fork may come in the middle of a step that never ends in the child.
template <class T>
PYEMBED_INLINE bool is_behind(const HistoryView<T>& history, i64 row) {
    return static_cast<u64>(history.stamps[row]) < static_cast<u64>(history.series.t);
}

// Settles a row in place.
template <class T>
PYEMBED_INLINE void settle_row(const HistoryView<T>& history, i64 row, T* w, i64 dim) {
    if (!is_behind(history, row)) return;
    RowSeries<T> series;
    series_since(history.series, history.stamps[row], series);
    history.stamps[row] = history.series.t;
    T* const m = history.moments.row(row);
    T* const v = m + dim;
    with_terms(history.series.terms, [&](auto terms) {
        settle_row<decltype(terms)::count>(series, history.epsilon, w, m, v, dim);
    });
}

// Settles w (dim,), a copy of a row.
template <class T>
PYEMBED_INLINE void settle_copy(const HistoryView<T>& history, i64 row, T* w, i64 dim) {
    if (!is_behind(history, row)) return;
    RowSeries<T> series;
    series_since(history.series, history.stamps[row], series);
    const T* const m = history.moments.row(row);
    const T* const v = m + dim;
    with_terms(history.series.terms, [&](auto terms) {
        settle_copy<decltype(terms)::count>(series, history.epsilon, w, m, v, dim);
    });
}

}  // namespace pyembed
