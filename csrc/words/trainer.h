// Learns the vectors of words from a text, in several threads.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <vector>

#include "words/batch.h"

namespace pyembed {

struct Schedule {
    i64 epochs;
    float learning_rate;  // at the beginning
    float least_rate;     // at the end
    u64 seed;
    i64 block;  // places of the corpus that are dealt out at once
    i64 learners;
    bool in_rounds;
};

// Learners work through the blocks of a corpus, in an order that each epoch shuffles anew, a batch at a time.
// In rounds, each learns a batch from the same tables, and their changes are added up in the learners' order:
// the same bits by any number of threads. Else each reads and writes the tables while others do, and waits
// for nobody.
class Trainer {
  public:
    Trainer(const Model& model, const Corpus& corpus, const Schedule& schedule);
    ~Trainer();

    // Learns for about so long, in so many threads; returns whether there is more to learn. Throws
    // std::bad_alloc; what was learned before stays.
    bool run(double seconds, int threads);

    // Places of the corpus that were learned from, of `epochs` times its size.
    i64 places() const;
    // By epoch.
    std::vector<Loss> losses() const;

  private:
    struct Learner;
    using Clock = std::chrono::steady_clock;

    void run_rounds(Clock::time_point stop, int threads);
    void run_freely(Clock::time_point stop, int threads);
    bool learn(Learner& learner);
    bool prepare(Learner& learner);
    bool read_block(Learner& learner);
    i64 next_turn(const Learner& learner);
    void add_changes(u32 round, u32 part, u32 parts);
    bool is_going_on() const;
    float learning_rate(const Learner& learner) const;

    const Model model_;
    const Corpus corpus_;
    const Schedule schedule_;
    const i64 blocks_;  // of an epoch
    std::atomic<i64> next_turn_{0};
    std::vector<std::unique_ptr<Learner>> learners_;
    std::vector<Way> input_ways_;  // by row, where there are rounds
    std::vector<Way> output_ways_;
    u32 round_ = 1;
};

}  // namespace pyembed
