#include "table/fill.h"

#include <cmath>

#include "base/normal_quantile.h"
#include "base/philox.h"
#include "element/element.h"

namespace pyembed {
namespace {

// Two numbers in (0, 1) from each block; float32 tables are the rounded float64 ones.
struct Uniforms {
    double first;
    double second;
};

Uniforms uniforms(u64 seed, u64 row, i64 pair) {
    const PhiloxBlock block =
        philox({{static_cast<u32>(pair), 0, static_cast<u32>(row), static_cast<u32>(row >> 32)}}, seed);
    return {unit_interval(block.words[0], block.words[1]), unit_interval(block.words[2], block.words[3])};
}

// draw turns a pair of uniforms into the values of two neighbouring columns.
template <class E, class Draw>
void fill(Rows<E> out, u64 seed, const FilledRows& filled, Draw draw) {
    const i64 row_bytes = out.dim * static_cast<i64>(sizeof(E));
    const i64 block = 1 + 4096 / (out.dim + 1);
    // A draw costs as much as moving about 16 bytes for each byte it makes.
    parallel_blocks(out.rows, block, threads_for(16 * out.rows * row_bytes), [&](i64 begin, i64 end, int) {
        for (i64 row = begin; row < end; ++row) {
            E* const to = out.row(row);
            for (i64 column = 0; column < out.dim; column += 2) {
                const Uniforms values =
                    draw(uniforms(seed, static_cast<u64>(filled.first + row * filled.step), column / 2));
                to[column] = static_cast<E>(values.first);
                if (column + 1 < out.dim) to[column + 1] = static_cast<E>(values.second);
            }
        }
    });
}

}  // namespace

template <class E>
void fill_uniform(Rows<E> out, u64 seed, const FilledRows& filled, double low, double high) {
    fill(out, seed, filled, [=](Uniforms u) -> Uniforms {
        return {low + (high - low) * u.first, low + (high - low) * u.second};
    });
}

// Box & Muller (1958).
template <class E>
void fill_normal(Rows<E> out, u64 seed, const FilledRows& filled, double mean, double stddev) {
    fill(out, seed, filled, [=](Uniforms u) -> Uniforms {
        constexpr double two_pi = 6.283185307179586476925;
        const double radius = stddev * std::sqrt(-2.0 * std::log(u.first));
        return {mean + radius * std::cos(two_pi * u.second), mean + radius * std::sin(two_pi * u.second)};
    });
}

// By inversion, one uniform an element: rejecting what lies outside would draw again, an unknown number of
// times.
template <class E>
void fill_truncated_normal(Rows<E> out, u64 seed, const FilledRows& filled, double mean, double stddev) {
    const auto draw = [=](double u) {
        constexpr double mass = 0.95449973610364158560;  // of a normal number between -2 and 2
        const double x = normal_quantile(mass * (u - 0.5));
        return mean + stddev * std::clamp(x, -2.0, 2.0);
    };
    fill(out, seed, filled, [=](Uniforms u) -> Uniforms { return {draw(u.first), draw(u.second)}; });
}

#define PYEMBED_FILL(E)                                                          \
    template void fill_uniform(Rows<E>, u64, const FilledRows&, double, double); \
    template void fill_normal(Rows<E>, u64, const FilledRows&, double, double);  \
    template void fill_truncated_normal(Rows<E>, u64, const FilledRows&, double, double);
PYEMBED_FOR_ELEMENTS(PYEMBED_FILL)

}  // namespace pyembed
