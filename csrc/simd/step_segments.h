#pragma once

#include "adam.h"
#include "reduce_segments.h"
#include "sgd.h"

namespace pyembed {
namespace {

// One row's update by an optimizer: each Rule has a function update(rule, row, w, state, gradient, dim) in
// its file.
template <class T, class Rule>
struct UpdateRow {
    Rows<T> table;
    Rows<T> state;
    const Rule& rule;

    PYEMBED_INLINE void prefetch(i64 row) const {
        prefetch_row(table.row(row), table.dim, true);
        prefetch_row(state.row(row), state.dim, true);
    }
    PYEMBED_INLINE void operator()(i64 row, const T* gradient) const {
        update(rule, row, table.row(row), state.row(row), gradient, table.dim);
    }
};

template <class T, class Rule>
void step_segments(const Segments<T>& segments, i64 begin, i64 end, T* scratch, Rows<T> table, Rows<T> state,
                   const Rule& rule) {
    reduce_segments(segments, begin, end, scratch, UpdateRow<T, Rule>{table, state, rule});
}

}  // namespace
}  // namespace pyembed
