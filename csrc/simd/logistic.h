// The logistic function, by arithmetic alone: the same bits with any instruction set and any C library.
#pragma once

#include <string.h>

#include "simd/lanes.h"
#include "words/kernels.h"

namespace pyembed {
namespace {

using FloatLanes = Lanes<float, register_bytes>;
constexpr i64 float_lanes = sizeof(FloatLanes) / sizeof(float);
static_assert(lanes_of_copies % float_lanes == 0, "whole registers");

PYEMBED_INLINE FloatLanes lanes_at(const float* from) {
    return load<FloatLanes>(from);
}
PYEMBED_INLINE void put_lanes(float* to, FloatLanes value) {
    *reinterpret_cast<FloatLanes*>(to) = value;
}

// exp(-x) for x from 0 on, to 2 units in the last place; 1e-38 where it is less.
PYEMBED_INLINE FloatLanes exp_of_negative(FloatLanes x) {
    using Bits = Lanes<u32, register_bytes>;
    constexpr float log2_of_e = 1.44269504f;
    constexpr float log_of_2_high = 0.693359375f;  // of few bits: times a small integer, it is exact
    constexpr float log_of_2_low = -2.12194440e-4f;
    constexpr float to_integer = 12582912.0f;  // 1.5 * 2^23: what is added to it is rounded to an integer
    const FloatLanes largest = FloatLanes{} + 87.0f;
    x = x < largest ? x : largest;
    const FloatLanes shifted = to_integer - x * log2_of_e;
    const FloatLanes power = shifted - to_integer;
    const FloatLanes rest = (-x - power * log_of_2_high) - power * log_of_2_low;  // at most log(2) / 2
    FloatLanes sum = rest * 1.98756915e-4f + 1.39819995e-3f;
    sum = sum * rest + 8.33345205e-3f;
    sum = sum * rest + 4.16657962e-2f;
    sum = sum * rest + 1.66666657e-1f;
    sum = sum * rest + 0.5f;
    sum = sum * (rest * rest) + rest + 1.0f;
    Bits bits;
    memcpy(&bits, &shifted, sizeof(bits));
    bits = (bits + 127u) << 23u;  // 2^power: the last bits of `shifted` are those of the integer
    FloatLanes scale;
    memcpy(&scale, &bits, sizeof(scale));
    return sum * scale;
}

// What is lost, lane by lane: the sum of the logarithms of `product` and of `excess`.
struct LossLanes {
    static constexpr i64 most_factors = 120;  // each at most 2: their product is a float

    alignas(64) float product[lanes_of_copies];
    alignas(64) float excess[lanes_of_copies];
    i64 factors;

    PYEMBED_INLINE void restart() {
        for (i64 lane = 0; lane < lanes_of_copies; ++lane) product[lane] = 1.0f;
        for (i64 lane = 0; lane < lanes_of_copies; ++lane) excess[lane] = 0.0f;
        factors = 0;
    }
};

// In place of weights: the weight times 1 / (1 + exp(margin)) of a margin that is the product where a weight
// is above 0, and its negative where it is below. Adds log(1 + exp(-margin)) to the loss.
PYEMBED_INLINE void weigh_slopes(const float* products, float* weights, float rate, LossLanes& loss) {
    for (i64 lane = 0; lane < lanes_of_copies; lane += float_lanes) {
        const FloatLanes product = lanes_at(products + lane);
        const FloatLanes weight = lanes_at(weights + lane);
        const FloatLanes zero{};
        const FloatLanes margin = weight < zero ? -product : product;
        const FloatLanes excess = margin < zero ? -margin : zero;
        const FloatLanes small = exp_of_negative(margin < zero ? -margin : margin);
        const FloatLanes sum = 1.0f + small;
        const FloatLanes slope = (margin < zero ? zero + 1.0f : small) / sum;
        put_lanes(weights + lane, slope * weight * rate);
        put_lanes(loss.product + lane, lanes_at(loss.product + lane) * sum);
        put_lanes(loss.excess + lane, lanes_at(loss.excess + lane) + excess);
    }
}

}  // namespace
}  // namespace pyembed
