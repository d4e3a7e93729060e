// Which of several processes has a row of a table that is dealt to them.
#pragma once

#include "base/views.h"

namespace pyembed {

// How many bits the numbers 0 … largest need.
inline int bit_width(u64 largest) {
    int bits = 0;
    for (; largest > 0; largest >>= 1) ++bits;
    return bits;
}

// Row r is with rank r mod ranks, as its local row r / ranks. A row's place is its owner's turn on top of its
// local row: rows sorted by place lie as they are sent, by rank, and last of all those that `rank` has
// itself. With one rank, rows are places.
class Owners {
  public:
    explicit Owners(i64 rows, i64 ranks = 1, i64 rank = 0)
        : rows_(rows),
          ranks_(static_cast<u64>(ranks)),
          rank_(static_cast<u64>(rank)),
          local_bits_(ranks == 1 ? bit_width(static_cast<u64>(rows))
                                 : bit_width(static_cast<u64>((rows - 1) / ranks))) {}

    i64 rows() const { return rows_; }
    i64 ranks() const { return static_cast<i64>(ranks_); }
    int local_bits() const { return local_bits_; }

    u64 place_of(i64 row) const {
        const u64 r = static_cast<u64>(row);
        if (ranks_ == 1) return r;
        const u64 local = divided(r);
        return turn_of(r - local * ranks_) << local_bits_ | local;
    }
    i64 owner_of_place(u64 place) const {
        const u64 turn = ranks_ == 1 ? 0 : place >> local_bits_;
        return static_cast<i64>(turn == ranks_ - 1 ? rank_ : turn + (turn >= rank_ ? 1 : 0));
    }
    // From this place on, rows are those of `rank` itself.
    i64 own_begin() const { return ranks_ == 1 ? 0 : static_cast<i64>((ranks_ - 1) << local_bits_); }
    i64 local_row(u64 place) const { return static_cast<i64>(place & ((u64{1} << local_bits_) - 1)); }
    // Above all places.
    u64 end() const {
        const u64 most = (static_cast<u64>(rows_) - 1) / ranks_ + 1;  // rows of one rank
        return ((ranks_ - 1) << local_bits_) + most;
    }

  private:
    // r / ranks_: numbers of 32 bits, as most are, are divided faster.
    u64 divided(u64 r) const {
        if ((r | ranks_) >> 32 != 0) return r / ranks_;
        return static_cast<u32>(r) / static_cast<u32>(ranks_);
    }
    // Owners come at random: without a branch.
    u64 turn_of(u64 owner) const {
        return owner - static_cast<u64>(owner > rank_) +
               static_cast<u64>(owner == rank_) * (ranks_ - 1 - rank_);
    }

    i64 rows_;
    u64 ranks_;
    u64 rank_;
    int local_bits_;
};

// What one process has of a table: every ranks-th of its `rows` rows, from row `rank` on.
struct Share {
    i64 rank;
    i64 ranks;
    i64 rows;

    static Share whole(i64 rows) { return {0, 1, rows}; }

    // How many of the rows before this one are here.
    i64 local_rows_before(i64 row) const { return row <= rank ? 0 : (row - rank - 1) / ranks + 1; }
};

}  // namespace pyembed
