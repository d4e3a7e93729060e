// Dense Adam at sparse cost: a row is settled to the step before this one, then updated; rows without a
// gradient are settled when they are next needed.
#pragma once

#include "base/prefetch.h"
#include "exact_adam/settling.h"
#include "optimizers/adam.h"

namespace pyembed {

struct ExactAdam : Adam {
    static constexpr const char* name = "exact_adam";
    double terms = 0.0;    // of the series
    double horizon = 0.0;  // steps after which a push is lost to rounding

    template <class Visit>
    void visit_numbers(Visit visit) {
        Adam::visit_numbers(visit);
        visit("terms", terms);
        visit("horizon", horizon);
    }

    template <class T>
    struct Update : Adam::Update<T> {
        HistoryView<T> history;

        PYEMBED_INLINE void prefetch(i64 row) const { prefetch_line(history.stamps + row); }
        PYEMBED_INLINE void prepare(i64 row, T* w, i64 dim) const {
            settle_row(history, row, w, dim);
            history.stamps[row] = history.series.t + 1;  // with the update that follows
        }
    };

    void attach(Table& table, State& state) const;
    void reserve(Table& table, State& state, i64 t) const;
    template <class T>
    Update<T> at(const StepNumbers& step, Table& table, State& state) const;
    void finish(Table& table, const StepNumbers& step) const;
};

}  // namespace pyembed
