// The names of this room's chunk loops: see base/kernel.h.
#pragma once

#include "element/element.h"
#include "gradient/views.h"
#include "optimizers/regularization.h"

namespace pyembed {

// Updates the rows, and their state, of the segments that start in [begin, end) of the pairs, by the rule R.
// gradient (dim,) is scratch, and opened (dim,) that of open_row.
template <class E, class R>
struct StepSegments {
    using T = Compute<E>;
    using Function = void(const SegmentsView<T>&, i64 begin, i64 end, T* gradient, T* opened, Rows<E> table,
                          Rows<T> state, const typename R::template Update<T>&, const Regularization&);
};

}  // namespace pyembed
