// The names of this room's chunk loops: see base/kernel.h.
#pragma once

#include "element/element.h"
#include "lookup/pooling.h"

namespace pyembed {

// out (n, dim): the table's rows, zeros for no_row; rows[n] … rows[n + ahead - 1] are looked up next.
template <class E>
struct CopyRows {
    using Function = void(Rows<const E> table, const i64* rows, i64 n, i64 ahead, Compute<E>* out,
                          i64 out_stride);
};

// The same past the caches, into rows that lie one after the other, each a line of the cache or longer.
template <class E>
struct StreamRows {
    using Function = void(Rows<const E> table, const i64* rows, i64 n, i64 ahead, Compute<E>* out);
};

// Bags of resolved rows: bag b sums rows[ends[b - 1]] … rows[ends[b] - 1], then divides by divisors[b].
template <class T>
struct BagRows {
    const i64* rows;
    const T* weights;              // beside rows, or null
    const Position<T>* positions;  // beside rows: where in its bag each stood; for max pooling alone
    const i64* ends;               // (bags,)
    const T* divisors;             // (bags,) or null
    i64 bags;
};

// out (bags, dim): one pooled row a bag
template <class E>
struct PoolRows {
    using Function = void(Rows<const E> table, const BagRows<Compute<E>>& bags, Compute<E>* out,
                          i64 out_stride);
};

// out (bags, dim): the maximum of each column; winners (bags, dim) or null: where it stood, -1 in an empty
// bag
template <class E>
struct MaxRows {
    using Function = void(Rows<const E> table, const BagRows<Compute<E>>& bags, Compute<E>* out,
                          i64 out_stride, Position<Compute<E>>* winners);
};

// dots (n,): the inner products of rows with a vector (dim,); zero for no_row
template <class E>
struct DotRows {
    using Function = void(Rows<const E> table, const i64* rows, i64 n, const Compute<E>* vector,
                          double* dots);
};

// norms (n,): the p-norms of rows; zero for no_row
template <class E>
struct RowNorms {
    using Function = void(Rows<const E> table, const i64* rows, i64 n, double p, double* norms);
};

template <class E>
struct ScaleRows {
    using Function = void(Rows<E> rows, Compute<E> factor);
};

}  // namespace pyembed
