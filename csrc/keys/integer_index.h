// Rows by integer keys.
#pragma once

#include <optional>

#include "keys/ids.h"
#include "keys/lines.h"

namespace pyembed {

// Keys are integers of 64 bits, signed or not, and get rows 0, 1, … in the order in which they first came.
// Whatever type they are given in, their values count. Not safe against calls that change it meanwhile.
class IntegerIndex {
  public:
    explicit IntegerIndex(bool is_unsigned) : is_unsigned_(is_unsigned) {}

    bool is_unsigned() const { return is_unsigned_; }
    i64 size() const { return lines_.size(); }
    std::size_t bytes() const { return lines_.bytes(); }

    // rows (n,): no_row for a key that is not there
    void find(const Ids& keys, i64* rows) const;

    // The first key whose value none of these integers has.
    std::optional<BadId> find_unfit(const Ids& keys) const;

    // rows (n,) of keys, none of them unfit: those that are not there are inserted. Throws std::bad_alloc,
    // and is then as it was.
    void insert(const Ids& keys, i64* rows);

    // keys (count,) of the first rows
    void keys(u64* out, i64 count) const;

  private:
    Lines lines_;
    bool is_unsigned_;
};

}  // namespace pyembed
