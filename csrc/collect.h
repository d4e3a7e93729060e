// The first step of a plan: one backward call's ids become pairs, in order of position.
#pragma once

#include <optional>

#include "bags.h"
#include "row_set.h"

namespace pyembed {

// What the ids of one call are read with.
struct Reading {
    IdRule rule;
    const RowSet& frozen;
    int row_bits;
    int source_bits;

    // Rows past the last stand for ids that have no gradient: those that do not even count in a bag's
    // divisor, and those that do.
    u64 nowhere() const { return static_cast<u64>(rule.rows); }
    u64 fixed() const { return nowhere() + 1; }
    u64 row(u64 item) const { return item >> source_bits; }
    bool has_gradient(u64 item) const { return row(item) < nowhere(); }
};

// Where one call's part of a plan goes. Sources are numbered from first_source; what a plan has no need of is
// null.
template <class T>
struct Collected {
    u64* items;  // (ids,) the pairs
    i64 first_source;
    T* coefs;  // (sources,) and so the others
    const T** rows;
    const Position<T>** winners;
    Position<T>* positions;
};

// Reads and checks all ids. `everywhere` (D,) is a row of zeros: the winners of sources that count in every
// column, at position 0.
template <class T>
std::optional<BadId> collect(const Contribution<T>& contribution, const Reading& reading,
                             const Position<T>* everywhere, const Collected<T>& to);

}  // namespace pyembed
