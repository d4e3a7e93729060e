// A live table: its memory, how it reads ids, and who may use it when.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "../operations.h"
#include "arguments.h"
#include "exact_moments.h"
#include "table_lock.h"

namespace pyembed {

// What a call sees of a table. A table only ever grows: a view of it stays valid, and its ids too.
struct TableView {
    py::array array;
    AnyRows rows;
    IdRule rule;

    Shape shape() const { return shape_of(array); }
};

class Table {
  public:
    // `name` is what errors call the array.
    Table(py::handle array, const char* name, const std::string& out_of_range, std::optional<i64> padding,
          std::optional<double> max_norm, double norm_type, bool writeable);

    // With a max_norm and `renormalise`, rows above it are scaled down first.
    py::array gather(py::handle ids, py::handle out, double dropout, u64 key, bool renormalise) const;
    py::array gather_bag(py::handle ids, py::handle offsets, py::handle weights, const std::string& mode,
                         bool include_last_offset, py::handle out, const char* weights_name,
                         bool renormalise) const;
    py::array weight_gradient(py::handle ids, py::handle gradient, py::handle offsets, py::handle weights,
                              const std::string& mode, bool include_last_offset) const;
    // (n,): the row of each id, -1 for one that has none
    py::array_t<i64> resolve(py::handle ids) const;

    // Frozen rows have no gradient.
    void freeze(py::handle rows);
    void unfreeze(py::handle rows);  // None: all
    py::array_t<i64> frozen_rows() const;
    std::vector<i64> frozen_rows_list() const;

    // Takes the values of `array` (V, D), but in the padding row and in frozen rows.
    void assign(py::handle array);
    // Moves into `array` (more rows, D): the first rows become those of the table. `state` (more rows, 2, D)
    // goes with it where moments are attached.
    void grow(py::handle array, py::handle state);

    // Keeps rows up to date with dense Adam, whose moments lie in state (V, 2, D) and whose step count is t.
    void attach_moments(py::handle state, double beta_1, double beta_2, double epsilon, int terms,
                        i64 horizon, i64 t);
    // Settles all rows, and forgets the moments.
    void detach_moments();
    // Brings all rows up to date.
    void settle();
    // (V,): the step at which each row was settled, -1 where it stands still
    py::array_t<i64> stamps() const;

    TableView view() const;
    // Taken without the GIL, so that no two locks are waited for.
    TableLock& lock() const { return lock_; }
    // Under the lock alone:
    const RowSet& frozen() const { return frozen_; }
    ExactMoments* moments() const { return moments_.get(); }
    template <class T>
    Rows<T> rows() const {
        return std::get<Rows<T>>(rows_);
    }
    // Calls read(Readable<T>).
    template <class T, class Read>
    auto readable(Read read) const {
        if (!moments_) return read(Readable<T>{read_only(rows<T>()), nullptr});
        const Unsettled<T> unsettled = moments_->unsettled<T>();
        return read(Readable<T>{read_only(rows<T>()), &unsettled});
    }

    py::tuple state();
    static std::unique_ptr<Table> from_state(const py::tuple& state);

  private:
    // Returns read(rows), called without the GIL and with the lock: alone where rows above max_norm had to be
    // scaled down first.
    template <class T, class Read>
    std::optional<BadId> read(const Ids& ids, const IdRule& rule, bool renormalise, Read read) const;

    // Calls f(T{}) in the table's dtype, without the GIL and with the table to itself.
    template <class F>
    void alone(F f) const;

    template <class Change>
    void change_frozen(py::handle rows, Change change);

    std::string out_of_range_;
    py::array array_;
    AnyRows rows_;
    IdRule rule_;
    std::optional<MaxNorm> max_norm_;
    RowSet frozen_;
    std::unique_ptr<ExactMoments> moments_;
    std::atomic<bool> has_moments_{false};
    mutable TableLock lock_;
    mutable std::mutex moving_;  // guards array_, rows_ and rule_ where there is no GIL
};

void bind_table(py::module_& module);

}  // namespace pyembed
