// The names of this room's chunk loops: see base/kernel.h.
#pragma once

#include "keys/line.h"

namespace pyembed {

// hashes (n,) of integers (n,)
struct HashIntegers {
    using Function = void(const u64* keys, i64 n, u64* hashes);
};

// rows (n,) of the keys with these hashes (n,), which tell them apart; no_row for one that is not there
struct FindIntegers {
    using Function = void(const Part* parts, const u64* hashes, i64 n, i64* rows);
};

// The same of texts [begin, end), of which `known` has that of each row.
struct FindTexts {
    using Function = void(const Part* parts, const Texts& known, const Texts& texts, i64 begin, i64 end,
                          i64* rows);
};

// A part that a call inserts keys into. The new key at `position` has row `size + position` for now, and
// `cells[position]` tells where that stands.
struct Insertion {
    Part part;
    i64 room;  // for so many more keys
    u32 size;  // keys of the whole index before
    u32* rows;
    u32** cells;
};

// rows (…,), cells (…,) at the arrivals' positions: returns how many of `n` are done before there is no room.
struct InsertIntegers {
    using Function = i64(Insertion& into, const Arrival* arrivals, i64 n);
};
struct InsertTexts {
    using Function = i64(Insertion& into, const Texts& known, const Texts& texts, const Arrival* arrivals,
                         i64 n);
};

}  // namespace pyembed
