#pragma once

#include "adagrad.h"
#include "adam.h"
#include "reduce_segments.h"
#include "regularize.h"
#include "rms_prop.h"
#include "settle.h"
#include "sgd.h"

namespace pyembed {
namespace {

// What comes before a row is read: nothing, but where it may be behind.
template <class Rule>
PYEMBED_INLINE void prefetch_for(const Rule&, i64) {}

template <class T>
PYEMBED_INLINE void prefetch_for(const ExactAdam<T>& rule, i64 row) {
    prefetch_line(rule.unsettled.stamps + row);
}

template <class T, class Rule>
PYEMBED_INLINE void prepare(const Rule&, i64, T*, i64) {}

template <class T>
PYEMBED_INLINE void prepare(const ExactAdam<T>& rule, i64 row, T* w, i64 dim) {
    settle_row(rule.unsettled, row, w, dim);
    rule.unsettled.stamps[row] = rule.unsettled.skipped.t + 1;  // with the update that follows
}

template <class T>
PYEMBED_INLINE void update(const ExactAdam<T>& rule, i64 row, T* __restrict w, T* __restrict moments,
                           const T* __restrict g, i64 dim) {
    update(rule.adam, row, w, moments, g, dim);
}

// One row's update by an optimizer: each Rule has a function update(rule, row, w, state, gradient, dim) in
// its file.
template <class T, class Rule>
struct UpdateRow {
    Rows<T> table;
    Rows<T> state;
    const Rule& rule;
    const Regularization<T>& regularization;
    T* scratch;

    PYEMBED_INLINE void prefetch(i64 row) const {
        prefetch_row(table.row(row), table.dim);
        prefetch_row(state.row(row), state.dim);
        prefetch_for(rule, row);
    }
    PYEMBED_INLINE void operator()(i64 row, const T* gradient) const {
        T* const w = table.row(row);
        prepare(rule, row, w, table.dim);
        gradient = with_penalty(regularization.penalty, w, gradient, scratch, table.dim);
        update(rule, row, w, state.row(row), gradient, table.dim);
        constrain(regularization.constraint, w, table.dim);
    }
};

template <class T, class Rule>
void step_segments(const Segments<T>& segments, i64 begin, i64 end, T* scratch, Rows<T> table, Rows<T> state,
                   const Rule& rule, const Regularization<T>& regularization) {
    const UpdateRow<T, Rule> update_row{table, state, rule, regularization, scratch};
    reduce_segments(segments, begin, end, scratch, update_row);
}

}  // namespace
}  // namespace pyembed
