// Which slot of a batch is a word's.
#pragma once

#include <vector>

#include "words/random.h"

namespace pyembed {

// Words get slots 0, 1, … in the order in which they first came.
class SlotMap {
  public:
    SlotMap() : cells_(least_cells) {}

    i64 size() const { return static_cast<i64>(words_.size()); }
    // By slot.
    const std::vector<int>& words() const { return words_; }

    void clear() {
        words_.clear();
        if (++round_ != 0) return;
        for (Cell& cell : cells_) cell.round = 0;
        round_ = 1;
    }

    // Throws std::bad_alloc.
    int slot_of(int word) {
        Cell& cell = cell_of(word);
        if (cell.round == round_) return cell.slot;
        const int slot = static_cast<int>(words_.size());
        cell = {word, slot, round_};
        words_.push_back(word);
        if (2 * words_.size() > cells_.size()) grow();
        return slot;
    }

  private:
    static constexpr std::size_t least_cells = 1024;

    struct Cell {
        int word;
        int slot;
        u32 round = 0;
    };

    Cell& cell_of(int word) {
        std::size_t at = static_cast<std::size_t>(hash_of_integer(static_cast<u64>(word)));
        for (;; ++at) {
            Cell& cell = cells_[at & (cells_.size() - 1)];
            if (cell.round != round_ || cell.word == word) return cell;
        }
    }

    void grow() {
        cells_ = std::vector<Cell>(2 * cells_.size());
        round_ = 1;
        for (std::size_t slot = 0; slot < words_.size(); ++slot)
            cell_of(words_[slot]) = {words_[slot], static_cast<int>(slot), round_};
    }

    std::vector<Cell> cells_;
    std::vector<int> words_;
    u32 round_ = 1;
};

}  // namespace pyembed
