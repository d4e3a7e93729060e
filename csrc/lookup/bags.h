// How ids (n,) are cut into bags.
#pragma once

#include <algorithm>

#include "base/views.h"

namespace pyembed {

// Bag b holds the ids [begin(b), end(b)). A plain lookup is a bag of length 1 for each id, summed.
struct Bags {
    i64 count;
    i64 length;          // of every bag, where offsets is null
    const i64* offsets;  // (count + 1,) or null

    i64 begin(i64 bag) const { return offsets != nullptr ? offsets[bag] : bag * length; }
    i64 end(i64 bag) const { return begin(bag + 1); }
    i64 ids() const { return begin(count); }

    i64 longest() const {
        if (offsets == nullptr) return count > 0 ? length : 0;
        i64 most = 0;
        for (i64 bag = 0; bag < count; ++bag) most = std::max(most, end(bag) - begin(bag));
        return most;
    }

    // About how many bags hold that many ids, at least one.
    i64 bags_per_block(i64 ids_per_block) const {
        const i64 mean_length = ids() / (count > 0 ? count : 1);
        return ids_per_block / (mean_length + 1) + 1;
    }
};

}  // namespace pyembed
