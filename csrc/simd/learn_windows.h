// Skip-gram and CBOW. The margins of a window are a small product of matrices, its inputs times its outputs,
// and so is what each of these gets: all of it is computed from the rows as they were before.
#pragma once

#include <math.h>

#include "simd/logistic.h"

namespace pyembed {
namespace {

template <int n>
struct Tile {
    static constexpr int size = n;
};

// Calls use(Tile<size>(), begin) for tiles that cover [0, n): as many of the largest size as fit, and one.
template <int largest, class Use>
PYEMBED_INLINE void for_tiles(int n, Use use) {
    int begin = 0;
    for (; begin + largest <= n; begin += largest) use(Tile<largest>(), begin);
    if constexpr (largest > 1)
        if (begin < n) for_tiles<largest - 1>(n - begin, [&](auto tile, int at) { use(tile, begin + at); });
}

using FourLanes = Lanes<float, 16>;
constexpr i64 four = sizeof(FourLanes) / sizeof(float);

// sums (n,) of lanes (n, lanes_of_copies): halves are added to each other until one is left
template <int n>
PYEMBED_INLINE void sum_lanes(const float* lanes, float* sums) {
    alignas(64) float rest[n][4];
    for (int k = 0; k < n; ++k) {
        const float* const from = lanes + k * lanes_of_copies;
        for (i64 l = 0; l < 4; l += four) {
            const FourLanes low = load<FourLanes>(from + l) + load<FourLanes>(from + l + 8);
            const FourLanes high = load<FourLanes>(from + l + 4) + load<FourLanes>(from + l + 12);
            *reinterpret_cast<FourLanes*>(rest[k] + l) = low + high;
        }
    }
    for (int k = 0; k < n; ++k) sums[k] = (rest[k][0] + rest[k][2]) + (rest[k][1] + rest[k][3]);
}

// dots[i * stride + o] = x[i] · y[o]
template <int inputs, int outputs>
PYEMBED_INLINE void dot_tile(const float* const* x, float* const* y, i64 dim, float* dots, i64 stride) {
    alignas(64) float lanes[inputs][outputs][lanes_of_copies];
    for (i64 first = 0; first < lanes_of_copies; first += float_lanes) {
        FloatLanes sums[inputs][outputs] = {};
        for (i64 column = first; column < dim; column += lanes_of_copies) {
            FloatLanes output[outputs];
            for (int o = 0; o < outputs; ++o) output[o] = lanes_at(y[o] + column);
            for (int i = 0; i < inputs; ++i) {
                const FloatLanes input = lanes_at(x[i] + column);
                for (int o = 0; o < outputs; ++o) sums[i][o] += input * output[o];
            }
        }
        for (int i = 0; i < inputs; ++i)
            for (int o = 0; o < outputs; ++o) put_lanes(&lanes[i][o][first], sums[i][o]);
    }
    float sums[inputs * outputs];
    sum_lanes<inputs * outputs>(&lanes[0][0][0], sums);
    for (int i = 0; i < inputs; ++i)
        for (int o = 0; o < outputs; ++o) dots[i * stride + o] = sums[i * outputs + o];
}

// trained[i] += Σ slopes[i, o] · y[o] for the first ones; y[o] += Σ slopes[i, o] · x[i]
template <int outputs>
PYEMBED_INLINE void update_tile(const float* const* x, int inputs, float* const* trained, int trained_inputs,
                                float* const* y, i64 dim, const float* slopes, i64 stride) {
    for (i64 column = 0; column < dim; column += float_lanes) {
        FloatLanes before[outputs];
        FloatLanes now[outputs];
        for (int o = 0; o < outputs; ++o) now[o] = before[o] = lanes_at(y[o] + column);
        for (int i = 0; i < inputs; ++i) {
            const FloatLanes input = lanes_at(x[i] + column);
            const float* const slope = slopes + i * stride;
            if (i < trained_inputs) {
                FloatLanes sum = lanes_at(trained[i] + column);
                for (int o = 0; o < outputs; ++o) {
                    sum += slope[o] * before[o];
                    now[o] += slope[o] * input;
                }
                put_lanes(trained[i] + column, sum);
            } else {
                for (int o = 0; o < outputs; ++o) now[o] += slope[o] * input;
            }
        }
        for (int o = 0; o < outputs; ++o) put_lanes(y[o] + column, now[o]);
    }
}

PYEMBED_INLINE void move_loss(LossLanes& lanes, Loss& loss) {
    for (i64 lane = 0; lane < lanes_of_copies; ++lane)
        loss.sum += static_cast<double>(lanes.excess[lane]) + ::log(static_cast<double>(lanes.product[lane]));
    lanes.restart();
}

// scratch.slopes[i * outputs + o]: what the i-th of scratch.inputs gets of output o, and output o of it
PYEMBED_INLINE void compare(const WindowScratch& scratch, int inputs, int outputs, i64 dim,
                            const float* weights, float learning_rate, LossLanes& lanes, Loss& loss) {
    constexpr int most_inputs = 4;
    constexpr int most_outputs = 3;
    float* const margins = scratch.margins;
    for_tiles<most_inputs>(inputs, [&](auto rows, int i) {
        for_tiles<most_outputs>(outputs, [&](auto columns, int o) {
            dot_tile<decltype(rows)::size, decltype(columns)::size>(scratch.inputs + i, scratch.outputs + o,
                                                                    dim, margins + i * outputs + o, outputs);
        });
    });
    const i64 pairs = static_cast<i64>(inputs) * outputs;
    for (int i = 0; i < inputs; ++i)
        for (int o = 0; o < outputs; ++o) scratch.slopes[i * outputs + o] = weights[o];
    constexpr float far = 100.0f;  // as good as learned: nothing is lost
    for (i64 pair = pairs; pair < padded(pairs); ++pair) {
        margins[pair] = far;
        scratch.slopes[pair] = 0.0f;
    }
    for (i64 pair = 0; pair < pairs; pair += lanes_of_copies) {
        weigh_slopes(margins + pair, scratch.slopes + pair, learning_rate, lanes);
        if (++lanes.factors == LossLanes::most_factors) move_loss(lanes, loss);
    }
    loss.predictions += inputs;
}

// What a window's outputs and inputs get of each other.
PYEMBED_INLINE void update(const WindowScratch& scratch, int inputs, int trained_inputs, int outputs,
                           i64 dim) {
    constexpr int most_outputs = 6;
    for_tiles<most_outputs>(outputs, [&](auto columns, int o) {
        update_tile<decltype(columns)::size>(scratch.inputs, inputs, scratch.trained, trained_inputs,
                                             scratch.outputs + o, dim, scratch.slopes + o, outputs);
    });
}

// Lets the scratch point to a window's outputs; returns their weights.
PYEMBED_INLINE const float* point_to_outputs(const Windows& windows, const Window& window,
                                             Rows<float> outputs, const WindowScratch& scratch) {
    const int* const slots = windows.outputs + window.first_output;
    for (int o = 0; o < window.outputs; ++o) scratch.outputs[o] = outputs.row(slots[o]);
    return windows.weights + window.first_output;
}

void learn_each_input(const Windows& windows, Rows<float> inputs, Rows<float> outputs,
                      const WindowScratch& scratch, Loss& loss) {
    const i64 dim = inputs.dim;
    LossLanes lanes;
    lanes.restart();
    for (i64 w = 0; w < windows.count; ++w) {
        const Window& window = windows.windows[w];
        const float* const weights = point_to_outputs(windows, window, outputs, scratch);
        const int* const slots = windows.inputs + window.first_input;
        // Rows that change before all have been read are read from copies.
        const bool copies = window.repeats_inputs || window.outputs > 6;
        for (int i = 0; i < window.inputs; ++i) {
            scratch.trained[i] = inputs.row(slots[i]);
            scratch.inputs[i] = copies ? scratch.copies + i * dim : scratch.trained[i];
            if (copies)
                memcpy(scratch.copies + i * dim, scratch.trained[i],
                       static_cast<size_t>(dim) * sizeof(float));
        }
        compare(scratch, window.inputs, window.outputs, dim, weights, windows.learning_rate, lanes, loss);
        update(scratch, window.inputs, window.trained_inputs, window.outputs, dim);
    }
    move_loss(lanes, loss);
}

// mean (dim,) = Σ rows / Σ sizes
PYEMBED_INLINE void mean_of(Rows<float> inputs, const int* slots, int n, const float* sizes, float* mean) {
    float size = 0.0f;
    for (int i = 0; i < n; ++i) size += sizes[slots[i]];
    const float factor = 1.0f / size;
    for (i64 column = 0; column < inputs.dim; column += float_lanes) {
        FloatLanes sum = {};
        for (int i = 0; i < n; ++i) sum += lanes_at(inputs.row(slots[i]) + column);
        put_lanes(mean + column, sum * factor);
    }
}

// As word2vec has it, each input gets the whole of what the mean gets.
void learn_mean_input(const Windows& windows, Rows<float> inputs, Rows<float> outputs,
                      const WindowScratch& scratch, Loss& loss) {
    const i64 dim = inputs.dim;
    float* const mean = scratch.copies;
    float* const change = scratch.copies + dim;
    LossLanes lanes;
    lanes.restart();
    for (i64 w = 0; w < windows.count; ++w) {
        const Window& window = windows.windows[w];
        const float* const weights = point_to_outputs(windows, window, outputs, scratch);
        const int* const slots = windows.inputs + window.first_input;
        mean_of(inputs, slots, window.inputs, windows.sizes, mean);
        for (i64 column = 0; column < dim; ++column) change[column] = 0.0f;
        scratch.inputs[0] = mean;
        scratch.trained[0] = change;
        compare(scratch, 1, window.outputs, dim, weights, windows.learning_rate, lanes, loss);
        update(scratch, 1, 1, window.outputs, dim);
        for (int i = 0; i < window.trained_inputs; ++i) {
            float* const row = inputs.row(slots[i]);
            const float size = windows.sizes[slots[i]];
            for (i64 column = 0; column < dim; column += float_lanes)
                put_lanes(row + column, lanes_at(row + column) + size * lanes_at(change + column));
        }
    }
    move_loss(lanes, loss);
}

}  // namespace
}  // namespace pyembed
