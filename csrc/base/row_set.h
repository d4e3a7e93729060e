#pragma once

#include <vector>

#include "base/views.h"

namespace pyembed {

// A set of a table's rows, a bit for each; no memory while it is empty from the start.
class RowSet {
  public:
    bool contains(i64 row) const {
        return word_of(row) < bits_.size() && (bits_[word_of(row)] >> (row & 63) & 1) != 0;
    }
    void insert(i64 row) { bits_[word_of(row)] |= bit_of(row); }
    void erase(i64 row) {
        if (word_of(row) < bits_.size()) bits_[word_of(row)] &= ~bit_of(row);
    }

    // Makes room for the rows [0, rows), so that insert cannot fail.
    void reserve(i64 rows) {
        if (rows > 0 && word_of(rows - 1) >= bits_.size()) bits_.resize(word_of(rows - 1) + 1);
    }

    // In ascending order.
    std::vector<i64> rows() const {
        std::vector<i64> found;
        for (std::size_t word = 0; word < bits_.size(); ++word) {
            if (bits_[word] == 0) continue;
            const i64 first = static_cast<i64>(word) * 64;
            for (i64 row = first; row < first + 64; ++row)
                if (contains(row)) found.push_back(row);
        }
        return found;
    }

  private:
    static std::size_t word_of(i64 row) { return static_cast<std::size_t>(row) / 64; }
    static u64 bit_of(i64 row) { return u64{1} << (row & 63); }

    std::vector<u64> bits_;
};

}  // namespace pyembed
