// The names of this room's chunk loops, and what they work on: see base/kernel.h.
#pragma once

#include "base/views.h"

namespace pyembed {

// Copies of rows are padded with zeros to whole numbers of so many columns, over which sums are taken in as
// many virtual lanes: the same bits with any instruction set.
constexpr i64 lanes_of_copies = 16;

constexpr i64 padded(i64 columns) {
    return (columns + lanes_of_copies - 1) / lanes_of_copies * lanes_of_copies;
}

// Copies of rows that a batch works on. A slot is a row of a table, or the mean or sum of several.
struct Slots {
    i64 count;
    const i64* rows;       // of the table
    const i64* starts;     // (count + 1,): slot s stands for rows[starts[s]] … rows[starts[s + 1] - 1]
    const float* factors;  // (count,): what the sum of these is multiplied with
    const float* shares;   // (count,): which part of the slot's change each of them gets
    const int* uses;       // (count,): with how many rows each is compared
    Rows<float> before;    // (count, padded dim): as they were read
    Rows<float> now;       // as they have become
};

// How far a row has come in a round, by the changes of those batches that were added before.
struct Way {
    u32 round = 0;
    float gone = 0.0f;
};

// What is added up in a round. Each batch moves a row as if it were alone; of several that move it far, the
// later ones find less of the way left: the share exp(-gone).
struct Round {
    Way* ways;  // by row of the table; null: changes are added as they are
    u32 number;
    float step;  // how far a row comes by being compared with one other
};

// The inputs of a window predict its outputs.
struct Window {
    i64 first_input;  // in Windows::inputs
    i64 first_output;
    int inputs;
    int trained_inputs;  // the first ones; the others stay as they are
    int outputs;
    bool repeats_inputs;
};

// Windows that are learned one after the other, from copies of rows.
struct Windows {
    i64 count;
    const Window* windows;
    const int* inputs;     // slots
    const int* outputs;    // slots, none twice in a window
    const float* weights;  // of outputs: above 0 where they are to be predicted, below where they are not
    const float* sizes;    // of input slots: how many rows each is the sum of; 1 for a mean
    float learning_rate;
};

// What training lowers: the sum of log(1 + exp(-margin)) over pairs of an input and an output. A prediction
// is an input with all outputs of its window.
struct Loss {
    double sum = 0.0;
    i64 predictions = 0;
};

// Room for what is computed of one window.
struct WindowScratch {
    float* margins;        // (most inputs × most outputs,) and lanes_of_copies more
    float* slopes;         // the same
    float* copies;         // (most inputs, padded dim)
    const float** inputs;  // (most inputs,)
    float** trained;       // (most inputs,)
    float** outputs;       // (most outputs,)
};

// slots.before = slots.now = rows of the table
struct ReadSlots {
    using Function = void(Rows<const float> table, const Slots& slots);
};

// table += shares * (slots.now - slots.before), in those rows that are dealt to `part` of `parts`
struct AddChanges {
    using Function = void(Rows<float> table, const Slots& slots, const Round& round, u32 part, u32 parts);
};

// Each input of a window predicts its outputs (skip-gram).
struct LearnEachInput {
    using Function = void(const Windows& windows, Rows<float> inputs, Rows<float> outputs,
                          const WindowScratch& scratch, Loss& loss);
};

// The mean of a window's inputs predicts its outputs (CBOW).
struct LearnMeanInput {
    using Function = void(const Windows& windows, Rows<float> inputs, Rows<float> outputs,
                          const WindowScratch& scratch, Loss& loss);
};

}  // namespace pyembed
