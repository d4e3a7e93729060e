// The logistic function, by arithmetic alone: the same bits with any instruction set and any C library.
#pragma once

#include <math.h>
#include <string.h>

#include "words/kernels.h"

namespace pyembed {
namespace {

// exp(-x) for x from 0 on, to 2 units in the last place; 1e-38 where it is less.
PYEMBED_INLINE float exp_of_negative(float x) {
    constexpr float log2_of_e = 1.44269504f;
    constexpr float log_of_2_high = 0.693359375f;  // of few bits: times a small integer, it is exact
    constexpr float log_of_2_low = -2.12194440e-4f;
    constexpr float to_integer = 12582912.0f;  // 1.5 * 2^23: what is added to it is rounded to an integer
    x = x < 87.0f ? x : 87.0f;
    const float shifted = to_integer - x * log2_of_e;
    const float power = shifted - to_integer;
    const float rest = (-x - power * log_of_2_high) - power * log_of_2_low;  // at most log(2) / 2
    float sum = 1.98756915e-4f;
    sum = sum * rest + 1.39819995e-3f;
    sum = sum * rest + 8.33345205e-3f;
    sum = sum * rest + 4.16657962e-2f;
    sum = sum * rest + 1.66666657e-1f;
    sum = sum * rest + 0.5f;
    sum = sum * (rest * rest) + rest + 1.0f;
    u32 bits;
    memcpy(&bits, &shifted, sizeof(bits));
    bits = (bits + 127) << 23;  // 2^power: its last bits are those of the integer
    float scale;
    memcpy(&scale, &bits, sizeof(scale));
    return sum * scale;
}

// slopes (n,) = 1 / (1 + exp(margin)): how much is missing. The sum of log(1 + exp(-margin)) is that of
// `excess` and of the logarithms of `product` (lanes_of_copies,), which are multiplied on. n: whole lanes.
PYEMBED_INLINE void logistic_slopes(const float* margins, i64 n, float* slopes, float* product,
                                    float* excess) {
    for (i64 i = 0; i < n; i += lanes_of_copies)
        for (i64 lane = 0; lane < lanes_of_copies; ++lane) {
            const float margin = margins[i + lane];
            const float small = exp_of_negative(margin < 0.0f ? -margin : margin);
            const float sum = 1.0f + small;
            slopes[i + lane] = (margin < 0.0f ? 1.0f : small) / sum;
            product[lane] *= sum;
            excess[lane] += margin < 0.0f ? -margin : 0.0f;
        }
}

}  // namespace
}  // namespace pyembed
