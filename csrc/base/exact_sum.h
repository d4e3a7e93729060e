// Sums that are exact until the last rounding, and so the same in any order: after R. M. Neal, "Fast exact
// summation using small and large superaccumulators" (2015).
#pragma once

#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/views.h"

namespace pyembed {

// A number in fixed point, from the smallest bit of a double to above the largest, in limbs of 32 bits that
// stand in 64: so a billion numbers can be added before anything is carried. Sums of several parts add up
// limb by limb.
class ExactSum {
  public:
    static constexpr int limbs = 67;
    enum { nans = limbs, infinities, negative_infinities, size };

    void add(double x) {
        u64 bits;
        std::memcpy(&bits, &x, sizeof bits);
        const int exponent = static_cast<int>(bits >> 52 & 0x7FF);
        const u64 fraction = bits & ((u64{1} << 52) - 1);
        const bool is_negative = bits >> 63 != 0;
        if (exponent == 0x7FF) {
            ++parts_[fraction != 0 ? nans : is_negative ? negative_infinities : infinities];
            return;
        }
        const u64 mantissa = exponent == 0 ? fraction : fraction | u64{1} << 52;
        const int place = exponent == 0 ? 0 : exponent - 1;  // of its lowest bit
        const int shift = place % 32;
        i64* const at = parts_.data() + place / 32;
        const u64 low = (mantissa & mask) << shift;
        const u64 high = (mantissa >> 32) << shift;
        const i64 sign = is_negative ? -1 : 1;
        at[0] += sign * static_cast<i64>(low & mask);
        at[1] += sign * static_cast<i64>((low >> 32) + (high & mask));
        at[2] += sign * static_cast<i64>(high >> 32);
        if (++pending_ == most_pending) carry();
    }

    // parts (size,) of another sum
    void add_parts(const i64* parts) {
        for (int i = 0; i < size; ++i) parts_[static_cast<std::size_t>(i)] += parts[i];
        carry();
    }

    // (size,): each limb in [0, 2^32), but for the last, which has the sign.
    const i64* parts() {
        carry();
        return parts_.data();
    }

    // Rounded once, to the nearest double; of two as near, the even one.
    double value() {
        carry();
        constexpr double infinity = std::numeric_limits<double>::infinity();
        const bool goes_up = parts_[infinities] != 0;
        const bool goes_down = parts_[negative_infinities] != 0;
        if (parts_[nans] != 0 || (goes_up && goes_down)) return std::numeric_limits<double>::quiet_NaN();
        if (goes_up || goes_down) return goes_up ? infinity : -infinity;
        if (parts_[limbs - 1] >= 0) return magnitude();
        ExactSum negated;
        for (std::size_t i = 0; i < limbs; ++i) negated.parts_[i] = -parts_[i];
        negated.carry();
        return -negated.magnitude();
    }

  private:
    static constexpr u64 mask = 0xFFFFFFFF;
    static constexpr int most_pending = 1 << 29;

    void carry() {
        i64 carried = 0;
        for (std::size_t i = 0; i + 1 < limbs; ++i) {
            const i64 limb = parts_[i] + carried;
            const i64 kept = static_cast<i64>(static_cast<u64>(limb) & mask);
            carried = (limb - kept) / (i64{1} << 32);
            parts_[i] = kept;
        }
        parts_[limbs - 1] += carried;
        pending_ = 0;
    }

    bool bit(int place) const {
        return (parts_[static_cast<std::size_t>(place / 32)] >> (place % 32) & 1) != 0;
    }

    // Of carried limbs, none of them below 0.
    double magnitude() const {
        constexpr int lowest = -1074;  // what the first bit is a power of two of
        int top = 32 * limbs - 1;
        while (top >= 0 && !bit(top)) --top;
        if (top < 0) return 0.0;
        const int first = top > 52 ? top - 52 : 0;
        u64 mantissa = 0;
        for (int place = top; place >= first; --place) mantissa = mantissa << 1 | (bit(place) ? 1 : 0);
        if (first > 0 && bit(first - 1)) {
            bool is_half = true;
            for (int place = first - 2; is_half && place >= 0; --place) is_half = !bit(place);
            if (!is_half || (mantissa & 1) != 0) ++mantissa;
        }
        return std::ldexp(static_cast<double>(mantissa), first + lowest);
    }

    std::array<i64, size> parts_{};
    int pending_ = 0;  // numbers added since the last carry
};

}  // namespace pyembed
