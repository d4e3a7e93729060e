// Max pooling: the first of a bag's rows that attains the maximum of a column gives it. A nan wins, as in
// numpy.maximum.
#pragma once

#include <string.h>

#include "base/prefetch.h"
#include "lookup/kernels.h"
#include "simd/lanes.h"

namespace pyembed {
namespace {

// The elements from `column` on, in R, of the rows [begin, end), at least one.
template <class R, class E, class T>
PYEMBED_INLINE void max_block(Rows<const E> table, const BagRows<T>& bags, i64 begin, i64 end, i64 column,
                              T* out, Position<T>* winners) {
    using V = typename R::template Of<T>;
    using P = typename R::template Of<Position<T>>;
    constexpr i64 lanes = sizeof(V) / sizeof(T);
    V best[R::count];
    P winner[R::count];
    const E* const first = table.row(bags.rows[begin]) + column;
    for (int k = 0; k < R::count; ++k) {
        best[k] = load<V>(first + k * lanes);
        winner[k] = P{} + bags.positions[begin];
    }
    for (i64 i = begin + 1; i < end; ++i) {
        const E* const x = table.row(bags.rows[i]) + column;
        const P position = P{} + bags.positions[i];
        for (int k = 0; k < R::count; ++k) {
            const V value = load<V>(x + k * lanes);
            const auto wins = (value > best[k]) | ((value != value) & (best[k] == best[k]));
            best[k] = wins ? value : best[k];
            winner[k] = wins ? position : winner[k];
        }
    }
    for (int k = 0; k < R::count; ++k) {
        *reinterpret_cast<V*>(out + column + k * lanes) = best[k];
        if (winners != nullptr) *reinterpret_cast<P*>(winners + column + k * lanes) = winner[k];
    }
}

template <class E, class T>
PYEMBED_INLINE void max_of_bag(Rows<const E> table, const BagRows<T>& bags, i64 begin, i64 end, T* out,
                               Position<T>* winners) {
    for_column_blocks<T>(0, table.dim, [&](auto registers, i64 column) {
        max_block<decltype(registers)>(table, bags, begin, end, column, out, winners);
    });
}

template <class E, class T = Compute<E>>
void max_rows(Rows<const E> table, const BagRows<T>& bags, T* out, i64 out_stride, Position<T>* winners) {
    const i64 dim = table.dim;
    const i64 distance = rows_ahead<E>(dim);
    i64 fetched = 0;
    i64 begin = 0;
    for (i64 bag = 0; bag < bags.bags; ++bag, out += out_stride) {
        const i64 end = bags.ends[bag];
        for (; fetched < end + distance && fetched < bags.ends[bags.bags - 1]; ++fetched)
            prefetch_row(table.row(bags.rows[fetched]), dim);
        if (begin == end) {
            memset(out, 0, static_cast<size_t>(dim) * sizeof(T));
            if (winners != nullptr)
                for (i64 column = 0; column < dim; ++column) winners[column] = -1;
        } else {
            max_of_bag(table, bags, begin, end, out, winners);
        }
        if (winners != nullptr) winners += dim;
        begin = end;
    }
}

}  // namespace
}  // namespace pyembed
