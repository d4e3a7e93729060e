#pragma once

#include "keys/line.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace pyembed {
namespace {

// A bit for each key of a line that has this hash.
PYEMBED_INLINE u32 matches(const Line& line, u64 hash) {
#if defined(__AVX512F__)
    const __m512i all = _mm512_load_si512(&line);
    u32 found = _mm512_cmpeq_epi64_mask(all, _mm512_set1_epi64(static_cast<long long>(hash)));
#elif defined(__AVX2__)
    const __m256i four = _mm256_load_si256(reinterpret_cast<const __m256i*>(&line));
    const __m256i equal = _mm256_cmpeq_epi64(four, _mm256_set1_epi64x(static_cast<long long>(hash)));
    u32 found = static_cast<u32>(_mm256_movemask_pd(_mm256_castsi256_pd(equal)));
    found |= static_cast<u32>(line.hashes[4] == hash) << 4;
#else
    u32 found = 0;
    for (int slot = 0; slot < keys_in_line; ++slot)
        found |= static_cast<u32>(line.hashes[slot] == hash) << slot;
#endif
    return found & ((1u << line.count) - 1);
}

PYEMBED_INLINE int lowest_bit(u32 bits) {
#if defined(_MSC_VER) && !defined(__clang__)
    int bit = 0;
    while ((bits >> bit & 1) == 0) ++bit;
    return bit;
#else
    return __builtin_ctz(bits);
#endif
}

}  // namespace
}  // namespace pyembed
