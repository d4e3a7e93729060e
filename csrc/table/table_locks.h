// The locks of several tables at once.
#pragma once

#include <algorithm>
#include <deque>
#include <stdexcept>
#include <vector>

#include "table/table.h"

namespace pyembed {

// Held for the life of the object; always taken in one order, so that two calls cannot wait for each other.
template <class Lock>
class TableLocks {
  public:
    // Throws std::invalid_argument where a table stands there twice.
    explicit TableLocks(std::vector<const Table*> tables) {
        std::sort(tables.begin(), tables.end());
        if (std::adjacent_find(tables.begin(), tables.end()) != tables.end())
            throw std::invalid_argument("a table stands there twice");
        for (const Table* table : tables) locks_.emplace_back(table->lock());
    }

  private:
    std::deque<Lock> locks_;
};

}  // namespace pyembed
