#pragma once

#include "element/element.h"
#include "optimizers/regularization.h"
#include "simd/reduce_segments.h"

namespace pyembed {
namespace {

// One row's update by the rule R.
template <class E, class R>
struct UpdateRow {
    using T = Compute<E>;
    Rows<E> table;
    Rows<T> state;
    const typename R::template Update<T>& update;
    const Regularization& regularization;
    T* scratch;
    T* opened;

    PYEMBED_INLINE void prefetch(i64 row) const {
        prefetch_row(table.row(row), table.dim);
        prefetch_row(state.row(row), state.dim);
        update.prefetch(row);
    }
    PYEMBED_INLINE void operator()(i64 row, const T* gradient) const {
        const i64 dim = table.dim;
        T* const w = open_row(table.row(row), opened, dim);
        update.prepare(row, w, dim);
        gradient = with_penalty(regularization.penalty, w, gradient, scratch, dim);
        update(row, w, state.row(row), gradient, dim);
        constrain(regularization.constraint, w, dim);
        close_row(table.row(row), w, dim);
    }
};

template <class E, class R, class T = Compute<E>>
void step_segments(const SegmentsView<T>& segments, i64 begin, i64 end, T* scratch, T* opened, Rows<E> table,
                   Rows<T> state, const typename R::template Update<T>& update,
                   const Regularization& regularization) {
    const UpdateRow<E, R> update_row{table, state, update, regularization, scratch, opened};
    reduce_segments(segments, begin, end, scratch, update_row);
}

}  // namespace
}  // namespace pyembed
