// From one backward call to its summands, in order of position.
#pragma once

#include <optional>

#include "base/row_set.h"
#include "gradient/backward_call.h"
#include "keys/owners.h"

namespace pyembed {

// What the ids of one call are read with.
struct Reading {
    IdPolicy policy;
    Owners owners;
    const RowSet& frozen;
    int row_bits;
    int source_bits;

    // Pairs have the places of rows. Those past the last stand for ids that have no gradient: those that do
    // not even count in a bag's divisor, and those that do.
    u64 nowhere() const { return owners.end(); }
    u64 fixed() const { return nowhere() + 1; }
    u64 row(u64 pair) const { return pair >> source_bits; }
    bool has_gradient(u64 pair) const { return row(pair) < nowhere(); }
};

// Where one call's summands go. Sources are numbered from first_source; what is not needed is null.
template <class T>
struct CallSummands {
    u64* pairs;  // (ids,)
    i64 first_source;
    T* coefs;  // (sources,) and so the others
    const T** sources;
    const Position<T>** winners;
    Position<T>* positions;
};

// Reads and checks all ids. `everywhere` (D,) is a row of zeros: the winners of sources that count in every
// column, at position 0.
template <class T>
std::optional<BadId> collect_call(const BackwardCall<T>& call, const Reading& reading,
                                  const Position<T>* everywhere, const CallSummands<T>& to);

}  // namespace pyembed
