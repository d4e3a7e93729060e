// A batch's distinct rows, in the order in which they are asked of their owners.
#pragma once

#include "base/buffer.h"
#include "keys/owners.h"

namespace pyembed {

// rows (n,), no_row among them, become the numbers of their rows among the distinct ones, which are sorted by
// place. The same at any number of threads.
class Partition {
  public:
    // Throws std::length_error where places x positions do not fit into 64 bits.
    Partition(i64* rows, i64 n, const Owners& owners);

    i64 count() const { return count_; }  // of distinct rows
    // Of each position that has a row, sorted: the row's place on top of the position.
    const u64* pairs() const { return sorted_; }
    i64 pair_count() const { return n_; }
    int position_bits() const { return position_bits_; }

    // numbers (count,) within their owners; of each rank's rows so many: counts (ranks,)
    void write(i64* local_rows, i64* counts) const;

  private:
    u64 place(i64 i) const { return sorted_[i] >> position_bits_; }
    bool starts(i64 i) const { return i == 0 || place(i) != place(i - 1); }

    Owners owners_;
    int position_bits_;
    i64 n_ = 0;  // of positions that have a row
    Buffer pairs_;
    const u64* sorted_ = nullptr;
    i64 count_ = 0;
};

}  // namespace pyembed
