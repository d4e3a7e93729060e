// Random numbers that are a function of a key and a place: those of any part of a text can be made alone.
#pragma once

#include "keys/hash.h"

namespace pyembed {

// A number of 64 bits for each place.
inline u64 random_at(u64 key, u64 place) {
    constexpr u64 odd = 0x9E3779B97F4A7C15;
    return hash_of_integer(key + odd * (place + 1));
}

// Those of one place after the other.
class RandomSequence {
  public:
    explicit RandomSequence(u64 key) : key_(key) {}
    u64 next() { return random_at(key_, place_++); }

  private:
    u64 key_;
    u64 place_ = 0;
};

// A number in [0, n) by 32 random bits.
inline u32 scaled(u32 bits, u32 n) {
    return static_cast<u32>(static_cast<u64>(bits) * n >> 32);
}

}  // namespace pyembed
