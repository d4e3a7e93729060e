// What numbers are in memory, apart from what kernels compute with. All element types stand here, once.
#pragma once

#include "base/views.h"

namespace pyembed {

// Element<E>::Compute is the type of E's arithmetic, and of all that is made from rows of it: results,
// gradients, weights.
template <class E>
struct Element;

template <>
struct Element<float> {
    using Compute = float;
    static constexpr const char* name = "float32";
};
template <>
struct Element<double> {
    using Compute = double;
    static constexpr const char* name = "float64";
};

template <class E>
using Compute = typename Element<E>::Compute;

// PYEMBED_FOR_ELEMENTS(X) is X(E) for each E that tables have, PYEMBED_FOR_ARITHMETIC for each Compute<E>.
#define PYEMBED_FOR_ARITHMETIC(X) X(float) X(double)
#define PYEMBED_FOR_ELEMENTS(X) PYEMBED_FOR_ARITHMETIC(X)

// A row to compute with: the row itself where it is in memory what arithmetic is done in. Another element
// copies it into scratch (dim,) here, and back in close_row.
template <class E>
PYEMBED_INLINE Compute<E>* open_row(E* row, Compute<E>*, i64) {
    return row;
}
template <class E>
PYEMBED_INLINE void close_row(E*, const Compute<E>*, i64) {}

}  // namespace pyembed
