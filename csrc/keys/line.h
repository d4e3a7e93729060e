// How an index lies in memory: lines of the cache, each with the hashes and rows of up to five keys.
#pragma once

#include "base/views.h"

namespace pyembed {

constexpr int keys_in_line = 5;

struct alignas(64) Line {
    u64 hashes[keys_in_line];
    u32 rows[keys_in_line];
    std::uint8_t count;
    std::uint8_t overflowed;  // keys that were to lie here, or in a line before, lie in a later one
    std::uint8_t unused[2];
};
static_assert(sizeof(Line) == 64, "a line of the cache");

// The part of an index that has the keys whose hashes begin alike. A key lies in its home line, or in one of
// those that follow, the first after the last, as far as all before are full.
struct Part {
    Line* lines;
    u64 line_count;  // below 2^32

    // By the 32 bits of the hash after those that choose the part: in the order of the hashes.
    PYEMBED_INLINE u64 home_of(u64 hash) const;
    PYEMBED_INLINE u64 after(u64 line) const { return line + 1 == line_count ? 0 : line + 1; }
};

constexpr int part_bits = 6;
constexpr int part_count = 1 << part_bits;

PYEMBED_INLINE u64 part_of(u64 hash) {
    return hash >> (64 - part_bits);
}

PYEMBED_INLINE u64 Part::home_of(u64 hash) const {
    return (hash << part_bits >> 32) * line_count >> 32;
}

// A key that is to be found or inserted, by its place among those of a call.
struct Arrival {
    u64 hash;
    u32 position;
};

// Texts one after the other: text t is bytes[starts[t]] … bytes[starts[t + 1] - 1].
struct Texts {
    const char* bytes;
    const i64* starts;  // (count + 1,)
    i64 count;

    PYEMBED_INLINE const char* begin(i64 t) const { return bytes + starts[t]; }
    PYEMBED_INLINE i64 length(i64 t) const { return starts[t + 1] - starts[t]; }
    // How many bytes may be read where a text begins, of those that follow too.
    PYEMBED_INLINE i64 limit(i64 t) const { return starts[count] - starts[t]; }
};

}  // namespace pyembed
