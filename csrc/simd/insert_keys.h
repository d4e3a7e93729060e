#pragma once

#include "keys/kernels.h"
#include "simd/find_keys.h"

namespace pyembed {
namespace {

// Finds or inserts one key, for which is_key(row): false where there is no room for it.
template <class IsKey>
PYEMBED_INLINE bool insert_key(Insertion& into, const Arrival& arrival, IsKey is_key) {
    const Part& part = into.part;
    Line* const home = part.lines + part.home_of(arrival.hash);
    Line* line = home;
    do {
        for (u32 found = matches(*line, arrival.hash); found != 0; found &= found - 1) {
            const u32 row = line->rows[lowest_bit(found)];
            if (!is_key(row)) continue;
            into.rows[arrival.position] = row;
            return true;
        }
        if (!line->overflowed) break;
        line = part.lines + part.after(static_cast<u64>(line - part.lines));
    } while (line != home);
    if (into.room == 0) return false;
    while (line->count == keys_in_line) {
        line->overflowed = 1;
        line = part.lines + part.after(static_cast<u64>(line - part.lines));
    }
    const int slot = line->count++;
    line->hashes[slot] = arrival.hash;
    line->rows[slot] = into.rows[arrival.position] = into.size + arrival.position;
    into.cells[arrival.position] = &line->rows[slot];
    --into.room;
    return true;
}

template <class IsKey>
PYEMBED_INLINE i64 insert_keys(Insertion& into, const Arrival* arrivals, i64 n, IsKey is_key) {
    for (i64 i = 0; i < n; ++i) {
        if (i + keys_ahead < n)
            prefetch_line(into.part.lines + into.part.home_of(arrivals[i + keys_ahead].hash));
        const auto is_this = [&](u32 row) { return is_key(row, arrivals[i].position); };
        if (!insert_key(into, arrivals[i], is_this)) return i;
    }
    return n;
}

i64 insert_integers(Insertion& into, const Arrival* arrivals, i64 n) {
    return insert_keys(into, arrivals, n, [](u32, u32) { return true; });
}

i64 insert_texts(Insertion& into, const Texts& known, const Texts& texts, const Arrival* arrivals, i64 n) {
    const u32 size = into.size;
    return insert_keys(into, arrivals, n, [&](u32 row, u32 position) {
        return row < size ? is_same_text(known, row, texts, position)
                          : is_same_text(texts, row - size, texts, position);
    });
}

}  // namespace
}  // namespace pyembed
