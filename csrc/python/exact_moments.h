// Dense Adam's steps that a table's rows have not made yet.
#pragma once

#include <algorithm>
#include <vector>

#include "../operations.h"
#include "../skipped_steps.h"
#include "arguments.h"

namespace pyembed {

// Used under the table's lock alone.
class ExactMoments {
  public:
    // state (V, 2, D): m and v. All rows are settled, at step `t`; those in `fixed` stand still.
    ExactMoments(const py::array& state, double epsilon, SkippedSteps skipped, const std::vector<i64>& fixed)
        : state_(state),
          epsilon_(epsilon),
          skipped_(std::move(skipped)),
          stamps_(static_cast<std::size_t>(state.shape(0)), skipped_.t()) {
        for (const i64 row : fixed) stamps_[static_cast<std::size_t>(row)] = no_row;
    }

    template <class T>
    Unsettled<T> unsettled() {
        const i64 width = 2 * state_.shape(2);
        T* const data = static_cast<T*>(const_cast<void*>(state_.data()));
        return {
            {data, state_.shape(0), width, width}, stamps_.data(), skipped_.view(), static_cast<T>(epsilon_)};
    }

    // One more step of all rows, after which those that have waited longest are settled: a few at each step,
    // so that none is ever further back than the sums reach.
    template <class T>
    void advance(double push, double decay, Rows<T> table) {
        skipped_.advance(push, decay);
        is_behind_ = true;
        constexpr i64 round = SkippedSteps::most_steps / 2;
        if (skipped_.t() < round) return;
        const i64 turn = skipped_.t() % round;
        settle_range(unsettled<T>(), table, table.rows * turn / round, table.rows * (turn + 1) / round);
    }
    void reserve() { skipped_.reserve(); }

    template <class T>
    void settle_all(Rows<T> table) {
        if (!is_behind_) return;
        settle_range(unsettled<T>(), table, 0, table.rows);
        skipped_.forget();
        is_behind_ = false;
    }

    template <class T>
    void stop(Rows<T> table, i64 row) {
        settle_rows(unsettled<T>(), table, {row});
        stamps_[static_cast<std::size_t>(row)] = no_row;
    }
    void go_on(i64 row) {
        i64& stamp = stamps_[static_cast<std::size_t>(row)];
        if (stamp == no_row) stamp = skipped_.t();
    }

    // All rows are settled; `state` (more rows, 2, D) has the old ones' moments.
    void grow(py::array& state) {
        stamps_.resize(static_cast<std::size_t>(state.shape(0)), skipped_.t());
        std::swap(state_, state);
    }

    const std::vector<i64>& stamps() const { return stamps_; }

  private:
    py::array state_;
    double epsilon_;
    SkippedSteps skipped_;
    std::vector<i64> stamps_;
    bool is_behind_ = false;
};

}  // namespace pyembed
