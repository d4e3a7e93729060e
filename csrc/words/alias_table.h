// Draws of words in proportion to weights, each by one random number: Walker's alias method.
#pragma once

#include <vector>

#include "words/random.h"

namespace pyembed {

class AliasTable {
  public:
    // weights (n,), none below 0 and not all of them 0; n below 2^31. Throws std::bad_alloc.
    explicit AliasTable(const std::vector<double>& weights);

    int draw(u64 random) const {
        const u32 cell = scaled(static_cast<u32>(random >> 32), static_cast<u32>(cells_.size()));
        const Cell& found = cells_[cell];
        return static_cast<u32>(random) < found.own ? static_cast<int>(cell) : found.other;
    }

  private:
    // A cell is shared by the word of its place and another one, or by that word and itself.
    struct Cell {
        u32 own;  // the share of the first, of 2^32
        int other;
    };
    std::vector<Cell> cells_;
};

}  // namespace pyembed
