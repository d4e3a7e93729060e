#pragma once

#include "base/prefetch.h"
#include "keys/hash.h"
#include "simd/match_line.h"

namespace pyembed {
namespace {

constexpr i64 keys_ahead = 32;

PYEMBED_INLINE const Line* home_line(const Part* parts, u64 hash) {
    const Part& part = parts[part_of(hash)];
    return part.lines + part.home_of(hash);
}

// The row of the key with this hash for which is_key(row), by its home line.
template <class IsKey>
PYEMBED_INLINE i64 find_from(const Part* parts, u64 hash, const Line* home, IsKey is_key) {
    const Line* line = home;
    for (;;) {
        for (u32 found = matches(*line, hash); found != 0; found &= found - 1) {
            const u32 row = line->rows[lowest_bit(found)];
            if (is_key(row)) return row;
        }
        if (!line->overflowed) return no_row;
        const Part& part = parts[part_of(hash)];
        line = part.lines + part.after(static_cast<u64>(line - part.lines));
        if (line == home) return no_row;
    }
}

void hash_integers(const u64* keys, i64 n, u64* hashes) {
    for (i64 i = 0; i < n; ++i) hashes[i] = hash_of_integer(keys[i]);
}

void find_integers(const Part* parts, const u64* hashes, i64 n, i64* rows) {
    const Line* ahead[keys_ahead];
    const auto fetch = [&](i64 i) {
        ahead[i % keys_ahead] = home_line(parts, hashes[i]);
        prefetch_line(ahead[i % keys_ahead]);
    };
    for (i64 i = 0; i < keys_ahead && i < n; ++i) fetch(i);
    for (i64 i = 0; i < n; ++i) {
        const Line* const line = ahead[i % keys_ahead];
        if (i + keys_ahead < n) fetch(i + keys_ahead);
        rows[i] = find_from(parts, hashes[i], line, [](u32) { return true; });
    }
}

// In groups, whose lines, starts and bytes are fetched one after the other.
void find_texts(const Part* parts, const Texts& known, const Texts& texts, i64 begin, i64 end, i64* rows) {
    u64 hashes[keys_ahead];
    const Line* lines[keys_ahead];
    i64 likely[keys_ahead];  // the first row with such a hash in the home line
    for (i64 start = begin; start < end; start += keys_ahead) {
        const i64 n = end - start < keys_ahead ? end - start : keys_ahead;
        for (i64 i = 0; i < n; ++i) {
            hashes[i] = hash_of_text(texts, start + i);
            lines[i] = home_line(parts, hashes[i]);
            prefetch_line(lines[i]);
        }
        for (i64 i = 0; i < n; ++i) {
            const u32 found = matches(*lines[i], hashes[i]);
            likely[i] = found != 0 ? static_cast<i64>(lines[i]->rows[lowest_bit(found)]) : no_row;
            if (found != 0) prefetch_line(known.starts + likely[i]);
        }
        for (i64 i = 0; i < n; ++i)
            if (likely[i] != no_row) prefetch_line(known.begin(likely[i]));
        for (i64 i = 0; i < n; ++i)
            rows[start - begin + i] = find_from(parts, hashes[i], lines[i], [&](u32 row) {
                return is_same_text(known, row, texts, start + i);
            });
    }
}

}  // namespace
}  // namespace pyembed
