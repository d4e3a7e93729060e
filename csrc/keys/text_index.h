// Rows by texts.
#pragma once

#include <vector>

#include "keys/lines.h"

namespace pyembed {

// Keys are strings of bytes, kept one after the other, and get rows 0, 1, … in the order in which they first
// came. Those of equal hashes are compared. Not safe against calls that change it meanwhile.
class TextIndex {
  public:
    i64 size() const { return lines_.size(); }
    std::size_t bytes() const;

    // rows (end - begin,): no_row for a text that is not there
    void find(const Texts& texts, i64 begin, i64 end, i64* rows) const;
    // rows (count,), by as many threads as that takes
    void find(const Texts& texts, i64* rows) const;

    // rows (count,): those that are not there are inserted. Throws std::bad_alloc, and is then as it was.
    void insert(const Texts& texts, i64* rows);

    // By row; until the next insertion.
    Texts texts() const { return {bytes_.data(), starts_.data(), size()}; }

  private:
    void append(const Texts& texts, const i64* rows);

    Lines lines_;
    std::vector<char> bytes_;
    std::vector<i64> starts_ = {0};
};

}  // namespace pyembed
