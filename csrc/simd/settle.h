// Rows that dense Adam would have moved since they were last settled: see skipped_view.h.
#pragma once

#include <math.h>

#include "../kernels.h"
#include "prefetch.h"
#include "square_root.h"

namespace pyembed {
namespace {

// The numbers of skipped_view.h for one row.
template <class T>
struct Skipped {
    T decay;
    T m_decay;
    T v_decay;
    T sums[most_terms];
};

// The product of the factors after step l.
PYEMBED_INLINE double product_since(const SkippedView& skipped, i64 l) {
    const Product now = skipped.products[skipped.t & skipped.mask];
    const Product then = skipped.products[l & skipped.mask];
    const double ratio = now.mantissa / then.mantissa;
    return now.exponent == then.exponent ? ratio
                                         : ::ldexp(ratio, static_cast<int>(now.exponent - then.exponent));
}

template <class T>
PYEMBED_INLINE void skipped_since(const SkippedView& skipped, i64 l, Skipped<T>& out) {
    const i64 k = skipped.t - l;
    const double* const sums = skipped.sums + (l & skipped.mask) * skipped.terms;
    const double later = k > skipped.horizon ? product_since(skipped, l + skipped.horizon) : 1.0;
    for (int p = 0; p < skipped.terms; ++p) out.sums[p] = static_cast<T>(sums[p] * later);
    out.decay = static_cast<T>(product_since(skipped, l));
    out.m_decay = static_cast<T>(skipped.beta_1(k));
    out.v_decay = static_cast<T>(skipped.beta_2(k));
}

// w, settled; root = sqrt(v).
template <int terms, class T>
PYEMBED_INLINE T settled(const Skipped<T>& skipped, T epsilon, T w, T m, T root) {
    const T by = T{1} / (root + epsilon);
    const T x = -(root * by);
    T sum = skipped.sums[terms - 1];
    for (int p = terms - 2; p >= 0; --p) sum = sum * x + skipped.sums[p];
    return w * skipped.decay - m * by * sum;
}

template <int terms, class T>
PYEMBED_INLINE void settle_row(const Skipped<T>& skipped, T epsilon, T* __restrict w, T* __restrict m,
                               T* __restrict v, i64 dim) {
    for (i64 k = 0; k < dim; ++k) {
        w[k] = settled<terms>(skipped, epsilon, w[k], m[k], square_root(v[k]));
        m[k] *= skipped.m_decay;
        v[k] *= skipped.v_decay;
    }
}

template <int terms, class T>
PYEMBED_INLINE void settle_copy(const Skipped<T>& skipped, T epsilon, T* __restrict w, const T* __restrict m,
                                const T* __restrict v, i64 dim) {
    for (i64 k = 0; k < dim; ++k) w[k] = settled<terms>(skipped, epsilon, w[k], m[k], square_root(v[k]));
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
PYEMBED_INLINE bool is_behind(const Unsettled<T>& unsettled, i64 row) {
    return static_cast<u64>(unsettled.stamps[row]) < static_cast<u64>(unsettled.skipped.t);
}

// Settles a row in place.
template <class T>
PYEMBED_INLINE void settle_row(const Unsettled<T>& unsettled, i64 row, T* w, i64 dim) {
    if (!is_behind(unsettled, row)) return;
    Skipped<T> skipped;
    skipped_since(unsettled.skipped, unsettled.stamps[row], skipped);
    unsettled.stamps[row] = unsettled.skipped.t;
    T* const m = unsettled.state.row(row);
    T* const v = m + dim;
    with_terms(unsettled.skipped.terms, [&](auto terms) {
        settle_row<decltype(terms)::count>(skipped, unsettled.epsilon, w, m, v, dim);
    });
}

template <class T>
PYEMBED_INLINE void prefetch_unsettled(const Unsettled<T>& unsettled, i64 row) {
    prefetch_line(unsettled.stamps + row);
    prefetch_row(unsettled.state.row(row), unsettled.state.dim);
}

template <class T>
void settle_rows(const Unsettled<T>& unsettled, Rows<T> table, const i64* rows, i64 n) {
    const i64 distance = rows_ahead<T>(table.dim);
    for (i64 i = 0; i < n; ++i) {
        if (i + distance < n) {
            const i64 next = rows[i + distance];
            prefetch_row(table.row(next), table.dim);
            prefetch_unsettled(unsettled, next);
        }
        settle_row(unsettled, rows[i], table.row(rows[i]), table.dim);
    }
}

template <class T>
void settle_copies(const Unsettled<T>& unsettled, const i64* rows, i64 n, Rows<T> copies) {
    const i64 distance = rows_ahead<T>(copies.dim);
    for (i64 i = 0; i < n; ++i) {
        const i64 next = i + distance;
        if (next < n && rows[next] >= 0) prefetch_unsettled(unsettled, rows[next]);
        if (rows[i] < 0 || !is_behind(unsettled, rows[i])) continue;
        Skipped<T> skipped;
        skipped_since(unsettled.skipped, unsettled.stamps[rows[i]], skipped);
        const i64 dim = copies.dim;
        const T* const m = unsettled.state.row(rows[i]);
        const T* const v = m + dim;
        T* const w = copies.row(i);
        with_terms(unsettled.skipped.terms, [&](auto terms) {
            settle_copy<decltype(terms)::count>(skipped, unsettled.epsilon, w, m, v, dim);
        });
    }
}

}  // namespace
}  // namespace pyembed
