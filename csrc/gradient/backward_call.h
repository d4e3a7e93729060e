// The first stage of a gradient: what one backward call was given.
#pragma once

#include "element/element.h"
#include "keys/ids.h"
#include "lookup/bags.h"
#include "lookup/dropout.h"
#include "lookup/pooling.h"

namespace pyembed {

// Nothing is copied, nothing computed but the winners of max pooling. A plain lookup is a bag of length 1 for
// each id, summed. A source is a row of `gradient` with a coefficient or a choice of its own: one a bag, or
// one an id.
template <class T>
struct BackwardCall {
    using Number = T;

    Ids ids;
    Bags bags;
    Pooling pooling;
    const T* weights;        // (ids,) or null
    Rows<const T> gradient;  // (bags, D)
    const T* const* places;  // (bags,): where its rows lie instead, or null
    double scale;
    bool by_frequency;           // each id's gradient is divided by how often its row stands in ids
    Dropout dropout;             // its scale is in `scale`
    const Position<T>* winners;  // (bags, D): the position of its bag that gave each element, or null

    const T* row(i64 bag) const { return places != nullptr ? places[bag] : gradient.row(bag); }
    bool is_by_id() const { return weights != nullptr || by_frequency || winners != nullptr; }
    // Whether source i is what id i adds, as it is.
    bool is_plain() const {
        return bags.offsets == nullptr && bags.length == 1 && places == nullptr && !is_by_id() &&
               !has_coefficients() && dropout.rate == 0.0;
    }
    i64 sources() const {
        if (ids.count == 0) return 0;  // however many bags there are
        return is_by_id() ? ids.count : bags.count;
    }
    bool has_coefficients() const {
        return weights != nullptr || by_frequency || divides(pooling) || scale != 1.0;
    }
};

}  // namespace pyembed
