// How ids (n,) are cut into bags, and one backward call over them.
#pragma once

#include <algorithm>

#include "dropout.h"
#include "ids.h"
#include "pooling.h"
#include "views.h"

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

// What one backward call was given: nothing is copied, nothing computed but the winners of max pooling.
template <class T>
struct Contribution {
    Ids ids;
    Bags bags;
    Pooling pooling;
    const T* weights;        // (ids,) or null
    Rows<const T> gradient;  // (bags, D)
    double scale;
    bool by_frequency;           // each id's gradient is divided by how often its row stands in ids
    Dropout dropout;             // its scale is in `scale`
    const Position<T>* winners;  // (bags, D): the position of its bag that gave each element, or null

    // A source is a row of `gradient` with a coefficient or a choice of its own: one a bag, or one an id.
    bool is_by_id() const { return weights != nullptr || by_frequency || winners != nullptr; }
    i64 sources() const { return is_by_id() ? ids.count : bags.count; }
    bool has_coefficients() const {
        return weights != nullptr || by_frequency || pooling == Pooling::mean || pooling == Pooling::sqrtn ||
               scale != 1.0;
    }
};

}  // namespace pyembed
