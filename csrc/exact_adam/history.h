// Dense Adam's steps that a table's rows have not made yet.
#pragma once

#include <memory>
#include <vector>

#include "exact_adam/history_view.h"
#include "exact_adam/series.h"
#include "table/table.h"

namespace pyembed {

// All of Adam's numbers that do not change from step to step.
struct ExactAdamNumbers {
    double beta_1;
    double beta_2;
    double epsilon;
    int terms;
    i64 horizon;
};

// When each row was last settled, and the series that tells what it has missed since.
template <class E>
class History : public PendingOf<E> {
    using T = Compute<E>;

  public:
    // moments (V, 2 D), kept where they are by `storage`. All rows are settled, at step `t`; padding and
    // frozen ones stand still.
    History(const Table& table, Rows<T> moments, std::shared_ptr<Storage> storage,
            const ExactAdamNumbers& numbers, i64 t);

    // Kernels that read copies leave the stamps alone.
    HistoryView<T> view() const {
        return {moments_, const_cast<i64*>(stamps_.data()), series_.view(), static_cast<T>(epsilon_)};
    }

    // One more step of all rows, with c(t) and f(t) of series_view.h. Then those rows are settled that have
    // waited longest: a few at each step, so that none is ever further back than the series reaches. Cannot
    // fail after `reserve`.
    void reserve() { series_.reserve(); }
    void advance(double push, double decay);

    void settle_all() override;
    void settle(const std::vector<i64>& rows) override;
    void settle_copies(const i64* rows, i64 n, Rows<T> copies) const override;
    void restart(i64 t) override;
    void stop(i64 row) override;
    void go_on(i64 row) override;
    void reserve_rows(i64 rows) override { stamps_.reserve(static_cast<std::size_t>(rows)); }
    void move(const AnyRows& table, const AnyArithmeticRows& beside,
              std::shared_ptr<Storage>& storage) override;
    std::vector<i64> stamps() const override { return stamps_; }

  private:
    void settle_range(i64 first, i64 last);
    template <class RowsOf>
    void settle_pieces(i64 count, RowsOf rows_of);

    const Table& owner_;
    Rows<E> table_;
    Rows<T> moments_;
    std::shared_ptr<Storage> storage_;
    double epsilon_;
    Series series_;
    std::vector<i64> stamps_;
    bool is_behind_ = false;
};

}  // namespace pyembed
