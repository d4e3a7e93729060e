// What a table's rows still lack, as far as the table needs to know.
#pragma once

#include <memory>
#include <vector>

#include "element/any_rows.h"
#include "storage/storage.h"

namespace pyembed {

// Changes that rows have not made yet, kept by somebody above the table; to settle a row is to make them.
// Used under the table's lock alone.
class Pending {
  public:
    virtual ~Pending() = default;

    virtual void settle_all() = 0;
    virtual void settle(const std::vector<i64>& rows) = 0;

    // As made anew at step t, all rows being settled. Cannot fail.
    virtual void restart(i64 t) = 0;

    // A row that stands still has nothing pending, from now on; or again.
    virtual void stop(i64 row) = 0;
    virtual void go_on(i64 row) = 0;

    // Rows, all settled, and what is kept beside them move into larger memory; `storage`, that of what is
    // kept beside, is exchanged for the old one. Cannot fail after `reserve_rows`.
    virtual void reserve_rows(i64 rows) = 0;
    virtual void move(const AnyRows& table, const AnyArithmeticRows& beside,
                      std::shared_ptr<Storage>& storage) = 0;

    // (V,): the step at which each row was settled, no_row where it stands still
    virtual std::vector<i64> stamps() const = 0;
};

// That of rows of E.
template <class E>
class PendingOf : public Pending {
  public:
    // copies (n, dim): the table's rows as they are in memory become what they would be if they were settled;
    // no_row is left alone. Several threads may call this at once.
    virtual void settle_copies(const i64* rows, i64 n, Rows<Compute<E>> copies) const = 0;
};

}  // namespace pyembed
