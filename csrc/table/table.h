// A live table: its rows, how it reads ids, and who may use it when.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/row_set.h"
#include "element/any_rows.h"
#include "keys/ids.h"
#include "keys/owners.h"
#include "storage/storage.h"
#include "table/pending.h"
#include "table/table_lock.h"

namespace pyembed {

// Rows whose p-norm is above the limit are scaled down to it before a lookup.
struct MaxNorm {
    double limit;
    double p;
};

// What a call sees of a table. A table only ever grows: a view of it stays valid, and its ids too.
struct TableView {
    AnyRows rows;
    IdPolicy policy;
    std::shared_ptr<Storage> storage;

    i64 dim() const {
        return std::visit([](const auto& r) { return r.dim; }, rows);
    }
};

// Rows as they lie, and what they still lack, or null.
template <class E>
struct LiveRows {
    Rows<const E> rows;
    const PendingOf<E>* pending;
};

class Table {
  public:
    // `share`: which rows of a larger table these are.
    Table(const AnyRows& rows, std::shared_ptr<Storage> storage, const IdPolicy& policy,
          std::optional<MaxNorm> max_norm, const Share& share);

    TableView view() const;
    const std::optional<MaxNorm>& max_norm() const { return max_norm_; }

    // These take the lock. Frozen rows have no gradient, and are not scaled down.
    void freeze(const std::vector<i64>& rows);
    void unfreeze(const std::vector<i64>& rows);
    // Makes room for any of the rows to be frozen.
    void reserve_frozen();
    std::vector<i64> frozen_rows() const;
    // The rows become those of `values` (V, D), but for the padding row and frozen ones.
    template <class E>
    void assign(Rows<const E> values);
    void settle();
    // Settles all rows; then what make() returns, called with the lock, is what they lack.
    void attach(const std::function<std::unique_ptr<Pending>()>& make);
    // Settles all rows, and forgets what was pending.
    void detach();
    // Settles all rows; then they have made t steps.
    void restart(i64 t);
    std::vector<i64> stamps() const;

    // Moves into `to` (more rows, D), of which the first become those of the table; `share` is what they are
    // then. `move_beside()` is called before, with all rows settled, to move what is kept beside them; it may
    // refuse. Throws std::invalid_argument, with nothing changed, where `to` is no larger.
    void grow(const AnyRows& to, std::shared_ptr<Storage> storage, const Share& share,
              const std::function<void()>& move_beside);

    // Taken without any lock of Python's, so that no two locks are waited for.
    TableLock& lock() const { return lock_; }
    // Under the lock alone:
    const IdPolicy& policy() const { return policy_; }
    const Share& share() const { return share_; }
    const RowSet& frozen() const { return frozen_; }
    Pending* pending() const { return pending_.get(); }
    template <class E>
    Rows<E> rows() const {
        return std::get<Rows<E>>(rows_);
    }
    template <class Visit>
    void visit_rows(Visit visit) const {
        std::visit(visit, rows_);
    }
    template <class E>
    LiveRows<E> live_rows() const {
        return {read_only(rows<E>()), static_cast<const PendingOf<E>*>(pending_.get())};
    }

  private:
    AnyRows rows_;
    std::shared_ptr<Storage> storage_;
    IdPolicy policy_;
    Share share_;
    const std::optional<MaxNorm> max_norm_;
    RowSet frozen_;
    std::unique_ptr<Pending> pending_;
    std::atomic<bool> has_pending_{false};
    mutable TableLock lock_;
    mutable std::mutex moving_;  // guards rows_, storage_ and policy_ for those who have no lock
};

}  // namespace pyembed
