// Philox4x32-10: Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011). A block
// of four random words is a function of a counter and a key, so any part of a stream can be made alone.
#pragma once

#include "base/views.h"

namespace pyembed {

struct PhiloxBlock {
    u32 words[4];
};

inline PhiloxBlock philox(PhiloxBlock counter, u64 key) {
    u32 key0 = static_cast<u32>(key);
    u32 key1 = static_cast<u32>(key >> 32);
    u32* const c = counter.words;
    for (int round = 0; round < 10; ++round) {
        const u64 a = u64{0xD2511F53} * c[0];
        const u64 b = u64{0xCD9E8D57} * c[2];
        const u32 c1 = c[1];
        const u32 c3 = c[3];
        c[0] = static_cast<u32>(b >> 32) ^ c1 ^ key0;
        c[1] = static_cast<u32>(b);
        c[2] = static_cast<u32>(a >> 32) ^ c3 ^ key1;
        c[3] = static_cast<u32>(a);
        key0 += 0x9E3779B9;
        key1 += 0xBB67AE85;
    }
    return counter;
}

// A number in (0, 1) of 53 random bits.
inline double unit_interval(u32 high, u32 low) {
    const u64 bits = (static_cast<u64>(high) << 32 | low) >> 11;
    return (static_cast<double>(bits) + 0.5) * 0x1p-53;
}

}  // namespace pyembed
