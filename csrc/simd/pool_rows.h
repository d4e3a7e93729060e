#pragma once

#include <string.h>

#include "base/prefetch.h"
#include "lookup/kernels.h"
#include "simd/sum_rows.h"

namespace pyembed {
namespace {

template <class E, class T = Compute<E>>
struct BagTerms : PlainTerms<T> {
    Rows<const E> table;
    const i64* rows;
    const T* weights;
    i64 fetched;  // of all bags together
    i64 distance;

    PYEMBED_INLINE BagTerms(Rows<const E> t, const BagRows<T>& bags, i64 count)
        : table(t),
          rows(bags.rows),
          weights(bags.weights),
          fetched(rows_to_prefetch(t, count)),
          distance(rows_ahead<E>(t.dim)) {}
    PYEMBED_INLINE const E* row(i64 i) const { return table.row(rows[i]); }
    PYEMBED_INLINE Take take() const { return weights != nullptr ? Take::scaled : Take::whole; }
    PYEMBED_INLINE T coefficient(i64 i) const { return weights[i]; }
    PYEMBED_INLINE void prefetch(i64 i) const {
        if (i + distance < fetched) prefetch_row(row(i + distance), table.dim);
    }
};

template <class E, class T = Compute<E>>
void pool_rows(Rows<const E> table, const BagRows<T>& bags, T* out, i64 out_stride) {
    const i64 count = bags.bags > 0 ? bags.ends[bags.bags - 1] : 0;
    const BagTerms<E> terms(table, bags, count);
    const i64 dim = table.dim;
    for (i64 i = 0; i < terms.fetched && i < terms.distance; ++i) prefetch_row(terms.row(i), dim);
    i64 begin = 0;
    for (i64 bag = 0; bag < bags.bags; ++bag, out += out_stride) {
        const i64 end = bags.ends[bag];
        const T divisor = bags.divisors != nullptr ? bags.divisors[bag] : T{1};
        if (begin == end || divisor == T{0}) {
            memset(out, 0, static_cast<size_t>(dim) * sizeof(T));
        } else {
            sum_rows(terms, begin, end, dim, out);
            if (bags.divisors != nullptr)
                for (i64 column = 0; column < dim; ++column) out[column] /= divisor;
        }
        begin = end;
    }
}

}  // namespace
}  // namespace pyembed
