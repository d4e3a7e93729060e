// The 64-bit hashes of keys. They are the same on every machine: what depends on a key's identity may use
// them.
#pragma once

#include <string.h>

#include "keys/line.h"

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#endif

namespace pyembed {

// A bijection, so that integers of equal hashes are equal; each bit of the result depends on each of the key.
// "moremur" of Pelle Evensen (2019).
PYEMBED_INLINE u64 hash_of_integer(u64 key) {
    key ^= key >> 27;
    key *= 0x3C79AC492BA7B653;
    key ^= key >> 33;
    key *= 0x1C69B3F74AC4AE35;
    return key ^ key >> 27;
}

// The integer of a hash: the same steps backwards, with the inverses of the factors modulo 2^64.
PYEMBED_INLINE u64 integer_of_hash(u64 hash) {
    hash ^= hash >> 27 ^ hash >> 54;
    hash *= 0xC47C8F6B6BAFB41D;
    hash ^= hash >> 33;
    hash *= 0xC09C5FE5BD6DFDDB;
    return hash ^ hash >> 27 ^ hash >> 54;
}

namespace text_hash {

// Odd numbers of random bits.
constexpr u64 first = 0x9E3779B97F4A7C15;
constexpr u64 second = 0xD1342543DE82EF95;

// The two halves of the product, added without carry.
PYEMBED_INLINE u64 folded_product(u64 a, u64 b) {
#if defined(_MSC_VER) && !defined(__clang__) && defined(_M_X64)
    u64 high;
    const u64 low = _umul128(a, b, &high);
    return low ^ high;
#elif defined(_MSC_VER) && !defined(__clang__)
    return a * b ^ __umulh(a, b);
#else
    __extension__ using u128 = unsigned __int128;
    const u128 product = static_cast<u128>(a) * b;
    return static_cast<u64>(product) ^ static_cast<u64>(product >> 64);
#endif
}

// Up to 8 of `left` bytes at `at`, as a number, with zeros behind. `limit`: how many may be read there,
// though they are not the text's: then no length of a text is a branch of its own.
PYEMBED_INLINE u64 word_at(const char* at, i64 left, i64 limit) {
    const i64 bytes = left < 0 ? 0 : left < 8 ? left : 8;
    u64 word = 0;
    if (limit >= 8)
        memcpy(&word, at, 8);
    else if (bytes > 0)
        memcpy(&word, at, static_cast<size_t>(bytes));
    return bytes == 8 ? word : word & ((u64{1} << 8 * bytes) - 1);
}

constexpr i64 least_bytes = 16;  // that are hashed, and compared, whatever the length

}  // namespace text_hash

// Of 8 bytes at a time; those after the text count as zeros. `limit`: how many bytes may be read at `text`.
PYEMBED_INLINE u64 hash_of_text(const char* text, i64 length, i64 limit) {
    using namespace text_hash;
    u64 hash = first ^ static_cast<u64>(length);
    hash = folded_product(hash ^ word_at(text, length, limit), second);
    hash = folded_product(hash ^ word_at(text + 8, length - 8, limit - 8), second);
    for (i64 at = least_bytes; at < length; at += 8)
        hash = folded_product(hash ^ word_at(text + at, length - at, limit - at), second);
    return hash_of_integer(hash);
}

PYEMBED_INLINE u64 hash_of_text(const Texts& texts, i64 t) {
    return hash_of_text(texts.begin(t), texts.length(t), texts.limit(t));
}

PYEMBED_INLINE bool is_same_text(const Texts& a, i64 i, const Texts& b, i64 j) {
    using namespace text_hash;
    const i64 length = a.length(i);
    if (length != b.length(j)) return false;
    const char* const x = a.begin(i);
    const char* const y = b.begin(j);
    const auto differ = [&](i64 at) {
        return word_at(x + at, length - at, a.limit(i) - at) ^ word_at(y + at, length - at, b.limit(j) - at);
    };
    if ((differ(0) | differ(8)) != 0) return false;
    return length <= least_bytes || memcmp(x, y, static_cast<size_t>(length)) == 0;
}

}  // namespace pyembed
