// Windows that are learned together, and copies of the rows that they need.
#pragma once

#include <vector>

#include "base/buffer.h"
#include "words/alias_table.h"
#include "words/corpus.h"
#include "words/kernels.h"
#include "words/slot_map.h"

namespace pyembed {

// What the rows of inputs are: a row of the table for each word, or several, whose mean or sum counts.
struct InputRows {
    const i64* rows = nullptr;    // or null: a word's row has its number
    const i64* starts = nullptr;  // (words + 1,)
    bool is_sum = false;
    const bool* is_frozen = nullptr;  // (words,), or null
};

// What windows predict: their centre, and not some words at random; or the turns of the way to the centre in
// a binary tree.
struct Targets {
    const AliasTable* noise = nullptr;
    int negative = 0;
    const int* nodes = nullptr;    // of a word, [starts[word], starts[word + 1])
    const float* turns = nullptr;  // 1 or -1
    const i64* starts = nullptr;
    i64 most_turns = 0;  // of a word

    i64 most() const { return nodes != nullptr ? most_turns : 1 + negative; }
};

struct Model {
    Rows<float> inputs;   // (rows, dim)
    Rows<float> outputs;  // (words or nodes, dim)
    InputRows input_rows;
    Targets targets;
    int window;
    bool means_inputs;  // CBOW
    i64 batch;          // windows that are learned from one reading of the tables
};

// Copies of rows of a table.
class Copies {
  public:
    void clear();
    SlotMap& map() { return map_; }
    float* sizes() { return sizes_.data(); }
    Rows<float> now() const { return slots_.now; }

    void read(Rows<const float> table, const InputRows& rows);
    void add_changes(Rows<float> table, const Round& round, u32 part, u32 parts) const;
    // Takes note that a slot is compared with so many others.
    void use(int slot, int others) { uses_[static_cast<std::size_t>(slot)] += others; }
    void use_none() { uses_.assign(static_cast<std::size_t>(map_.size()), 0); }

  private:
    void add_slot(int word, const InputRows& rows);

    SlotMap map_;
    std::vector<i64> rows_;
    std::vector<i64> starts_;
    std::vector<float> factors_;
    std::vector<float> shares_;
    std::vector<float> sizes_;
    std::vector<int> uses_;
    Buffer memory_;
    i64 room_ = 0;
    Slots slots_{};
};

// What the kernels compute of a window.
class WindowRoom {
  public:
    WindowRoom(i64 most_inputs, i64 most_outputs, i64 dim);
    WindowScratch scratch();

  private:
    static std::size_t size(i64 count) { return static_cast<std::size_t>(count); }

    std::vector<float> margins_;
    std::vector<float> slopes_;
    std::vector<float> copies_;
    std::vector<const float*> inputs_;
    std::vector<float*> trained_;
    std::vector<float*> outputs_;
};

class Batch {
  public:
    explicit Batch(const Model& model);

    // Takes the windows of centres [first, last) of a block, up to as many as it has room for; returns where
    // it stopped. `key` is that of its own random numbers.
    i64 take(const Block& block, i64 first, i64 last, u64 key);

    void read();
    void learn(float learning_rate, Loss& loss);
    // Of rows that are dealt to a part; the rounds are null where there are none.
    void add_changes(const Round& of_inputs, const Round& of_outputs, u32 part, u32 parts) const;

  private:
    void add_window(const Block& block, i64 centre, RandomSequence& random);
    bool add_inputs(const Block& block, i64 centre, Window& window);
    void add_outputs(int word, Window& window, RandomSequence& random);
    void add_negatives(int centre, i64 first, RandomSequence& random);
    void count_uses();
    void draw_pool(i64 windows, RandomSequence& random);

    const Model& model_;
    Copies inputs_;
    Copies outputs_;
    std::vector<Window> windows_;
    std::vector<int> input_slots_;  // of windows
    std::vector<int> output_slots_;
    std::vector<float> weights_;
    std::vector<int> pool_;  // slots of words that are drawn for the batch, from which its windows draw
    std::vector<int> slots_of_places_;  // of the block
    WindowRoom room_;
};

}  // namespace pyembed
