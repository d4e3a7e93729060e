// Word-type dropout: Gal & Ghahramani, "A theoretically grounded application of dropout in recurrent neural
// networks" (2016), section 4.2.
#pragma once

#include "base/philox.h"

namespace pyembed {

// Each row of a table is dropped, or not, wherever it is looked up with one key. The rest are scaled up.
struct Dropout {
    double rate = 0.0;
    u64 key = 0;

    double scale() const { return rate < 1.0 ? 1.0 / (1.0 - rate) : 0.0; }

    // rows (n,): those that are dropped become no_row.
    void drop(i64* rows, i64 n) const {
        if (rate == 0.0) return;
        for (i64 i = 0; i < n; ++i)
            if (rows[i] != no_row && drops(static_cast<u64>(rows[i]))) rows[i] = no_row;
    }

  private:
    bool drops(u64 row) const {
        // The second word tells these draws from those that fill a table with the same key.
        const PhiloxBlock block = philox({{0, 1, static_cast<u32>(row), static_cast<u32>(row >> 32)}}, key);
        return unit_interval(block.words[0], block.words[1]) < rate;
    }
};

}  // namespace pyembed
