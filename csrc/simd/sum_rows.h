// The one sum of the library: rows in a given order, each times its coefficient, over blocks of columns that
// stay in registers.
#pragma once

#include "lookup/pooling.h"
#include "simd/lanes.h"

namespace pyembed {
namespace {

// How a row counts: as it is; times a coefficient; or that only in the columns that it won.
enum class Take { whole, scaled, selected };

// What the terms of a sum are unless they say otherwise. Terms have row(i), a pointer to
// elements, and prefetch(i), called once for each i, for what comes after it. No std:: here: see views.h.
template <class T>
struct PlainTerms {
    PYEMBED_INLINE Take take() const { return Take::whole; }
    PYEMBED_INLINE T coefficient(i64) const { return T{1}; }
    PYEMBED_INLINE const Position<T>* winners(i64) const { return nullptr; }
    PYEMBED_INLINE Position<T> position(i64) const { return 0; }
    PYEMBED_INLINE void prefetch(i64) const {}
};

// The sum's elements from `column` on, in R.
template <class R, Take take, class T, class Terms>
PYEMBED_INLINE void sum_block(const Terms& terms, i64 begin, i64 end, i64 column, T* out) {
    using V = typename R::template Of<T>;
    using P = typename R::template Of<Position<T>>;
    constexpr i64 lanes = sizeof(V) / sizeof(T);
    V sum[R::count] = {};
    for (i64 i = begin; i < end; ++i) {
        if (column == 0) terms.prefetch(i);
        const auto* const x = terms.row(i) + column;
        const T c = take != Take::whole ? terms.coefficient(i) : T{1};
        const Position<T>* const winners = take == Take::selected ? terms.winners(i) + column : nullptr;
        const Position<T> position = take == Take::selected ? terms.position(i) : 0;
        for (int k = 0; k < R::count; ++k) {
            V value = load<V>(x + k * lanes);
            if (take != Take::whole) value = c * value;
            if (take == Take::selected)
                value = *reinterpret_cast<const P*>(winners + k * lanes) == position ? value : V{};
            sum[k] += value;
        }
    }
    for (int k = 0; k < R::count; ++k) *reinterpret_cast<V*>(out + column + k * lanes) = sum[k];
}

template <Take take, class T, class Terms>
PYEMBED_INLINE void sum_rows(const Terms& terms, i64 begin, i64 end, i64 dim, T* out) {
    for_column_blocks<T>(0, dim, [&](auto registers, i64 column) {
        sum_block<decltype(registers), take>(terms, begin, end, column, out);
    });
}

// out (dim,) = the sum of the terms [begin, end)
template <class T, class Terms>
PYEMBED_INLINE void sum_rows(const Terms& terms, i64 begin, i64 end, i64 dim, T* out) {
    switch (terms.take()) {
        case Take::whole:
            return sum_rows<Take::whole>(terms, begin, end, dim, out);
        case Take::scaled:
            return sum_rows<Take::scaled>(terms, begin, end, dim, out);
        case Take::selected:
            return sum_rows<Take::selected>(terms, begin, end, dim, out);
    }
}

}  // namespace
}  // namespace pyembed
