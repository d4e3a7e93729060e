#include "words/trainer.h"

#include <algorithm>
#include <exception>
#include <numeric>

#include "base/threads.h"

namespace pyembed {
namespace {

// Of the loss along a row, for each other that it is compared with, by and large: it says how soon a row is
// where batches want it. With none, rounds of twice as many batches diverge; ten times as much slows
// learning.
constexpr float curvature = 0.1f;

// The numbers [0, n) in a random order.
std::vector<i64> shuffled(i64 n, u64 key) {
    std::vector<i64> order(static_cast<std::size_t>(n));
    std::iota(order.begin(), order.end(), 0);
    RandomSequence random(key);
    for (std::size_t left = order.size(); left > 1; --left)
        std::swap(order[left - 1], order[random.next() % left]);
    return order;
}

}  // namespace

// One who is in a block of the corpus, of which some windows are left.
struct Trainer::Learner {
    Learner(const Model& model, i64 epochs, i64 number_of_it)
        : number(number_of_it), batch(model), losses(static_cast<std::size_t>(epochs)) {}

    const i64 number;
    i64 turn = -1;  // the block that it is in, counted over all epochs
    i64 epoch = -1;
    std::vector<i64> order;  // of the epoch's blocks
    i64 begin = 0;           // its places
    i64 end = 0;
    i64 centre = 0;     // of the next window
    float rate = 0.0f;  // of its batch
    i64 places = 0;     // that it has behind it
    bool has_batch = false;
    bool is_done = false;
    Block block;
    Batch batch;
    std::vector<Loss> losses;  // by epoch
    std::exception_ptr thrown;
};

Trainer::Trainer(const Model& model, const Corpus& corpus, const Schedule& schedule)
    : model_(model),
      corpus_(corpus),
      schedule_(schedule),
      blocks_((corpus.size + schedule.block - 1) / schedule.block) {
    for (i64 number = 0; number < schedule.learners; ++number)
        learners_.push_back(std::make_unique<Learner>(model_, schedule_.epochs, number));
    if (!schedule.in_rounds) return;
    input_ways_.resize(static_cast<std::size_t>(model.inputs.rows));
    output_ways_.resize(static_cast<std::size_t>(model.outputs.rows));
}

Trainer::~Trainer() = default;

// In rounds, who learns which block must not depend on who is fast.
i64 Trainer::next_turn(const Learner& learner) {
    if (!schedule_.in_rounds) return next_turn_.fetch_add(1, std::memory_order_relaxed);
    return learner.turn < 0 ? learner.number : learner.turn + schedule_.learners;
}

bool Trainer::read_block(Learner& learner) {
    learner.places += learner.end - learner.begin;
    learner.begin = learner.end = 0;
    learner.turn = next_turn(learner);
    learner.is_done = learner.turn >= blocks_ * schedule_.epochs;
    if (learner.is_done) return false;
    const i64 epoch = learner.turn / blocks_;
    const u64 key = random_at(schedule_.seed, static_cast<u64>(2 * epoch));
    if (epoch != learner.epoch) learner.order = shuffled(blocks_, ~key);
    learner.epoch = epoch;
    learner.begin = learner.order[static_cast<std::size_t>(learner.turn % blocks_)] * schedule_.block;
    learner.end = std::min(corpus_.size, learner.begin + schedule_.block);
    learner.block.read(corpus_, learner.begin, learner.end, key, model_.window);
    learner.centre = learner.block.first();
    return true;
}

// Takes the windows of the next batch, from another block where none are left of this one.
bool Trainer::prepare(Learner& learner) {
    while (learner.turn < 0 || learner.centre == learner.block.last())
        if (learner.is_done || !read_block(learner)) return false;
    const u64 epoch_key = random_at(schedule_.seed, static_cast<u64>(2 * learner.epoch + 1));
    const u64 block_key = random_at(epoch_key, static_cast<u64>(learner.begin));
    const u64 key = random_at(block_key, static_cast<u64>(learner.centre));
    learner.centre = learner.batch.take(learner.block, learner.centre, learner.block.last(), key);
    return true;
}

// The rate falls from window to window, in a line.
float Trainer::learning_rate(const Learner& learner) const {
    const Block& block = learner.block;
    const double share = static_cast<double>(learner.centre - block.first()) /
                         static_cast<double>(std::max<i64>(block.last() - block.first(), 1));
    const double done =
        (static_cast<double>(learner.turn) + share) / static_cast<double>(blocks_ * schedule_.epochs);
    const double begin = schedule_.learning_rate;
    return static_cast<float>(begin + (schedule_.least_rate - begin) * done);
}

// Learns the next batch from the tables as they are, if there is one.
bool Trainer::learn(Learner& learner) {
    learner.has_batch = false;
    try {
        if (!prepare(learner)) return false;
        learner.batch.read();
        Loss& loss = learner.losses[static_cast<std::size_t>(learner.epoch)];
        learner.rate = learning_rate(learner);
        learner.batch.learn(learner.rate, loss);
        learner.has_batch = true;
    } catch (...) {
        learner.thrown = std::current_exception();
    }
    return learner.has_batch;
}

void Trainer::run_rounds(Clock::time_point stop, int threads) {
    std::atomic<i64> next{0};
    std::atomic<bool> is_over{false};
    const auto learners = static_cast<i64>(learners_.size());
    parallel(static_cast<int>(std::min<i64>(threads, learners)), [&](int member, int members, auto barrier) {
        u32 round = round_;
        while (!is_over) {
            for (i64 l = next++; l < learners; l = next++) learn(*learners_[static_cast<std::size_t>(l)]);
            barrier();
            if (member == 0) {
                next = 0;
                is_over = Clock::now() >= stop || !is_going_on();
            }
            add_changes(round++, static_cast<u32>(member), static_cast<u32>(members));
            barrier();
        }
        if (member == 0) round_ = round;
    });
}

// Of all learners, in their order, to the rows of a part.
void Trainer::add_changes(u32 round, u32 part, u32 parts) {
    for (const auto& learner : learners_) {
        if (!learner->has_batch) continue;
        const float step = learner->rate * curvature;
        const Round of_inputs{input_ways_.data(), round, step};
        const Round of_outputs{output_ways_.data(), round, step};
        learner->batch.add_changes(of_inputs, of_outputs, part, parts);
    }
}

bool Trainer::is_going_on() const {
    const auto is_any = [&](auto is_so) { return std::any_of(learners_.begin(), learners_.end(), is_so); };
    return is_any([](const auto& learner) { return !learner->is_done; }) &&
           !is_any([](const auto& learner) { return learner->thrown != nullptr; });
}

void Trainer::run_freely(Clock::time_point stop, int threads) {
    std::atomic<i64> next{0};
    const auto learners = static_cast<i64>(learners_.size());
    parallel(static_cast<int>(std::min<i64>(threads, learners)), [&](int, int, auto) {
        for (i64 l = next++; l < learners; l = next++) {
            Learner& learner = *learners_[static_cast<std::size_t>(l)];
            while (Clock::now() < stop && learn(learner)) learner.batch.add_changes({}, {}, 0, 1);
        }
    });
}

bool Trainer::run(double seconds, int threads) {
    const auto length = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    const Clock::time_point stop = Clock::now() + length;
    if (schedule_.in_rounds)
        run_rounds(stop, threads);
    else
        run_freely(stop, threads);
    for (const auto& learner : learners_)
        if (learner->thrown) std::rethrow_exception(std::exchange(learner->thrown, nullptr));
    return is_going_on();
}

i64 Trainer::places() const {
    i64 sum = 0;
    for (const auto& learner : learners_) {
        const Block& block = learner->block;
        const i64 windows = block.last() - block.first();
        sum += learner->places;
        if (windows > 0) sum += (learner->end - learner->begin) * (learner->centre - block.first()) / windows;
    }
    return sum;
}

std::vector<Loss> Trainer::losses() const {
    std::vector<Loss> sums(static_cast<std::size_t>(schedule_.epochs));
    for (const auto& learner : learners_)
        for (std::size_t epoch = 0; epoch < sums.size(); ++epoch) {
            sums[epoch].sum += learner->losses[epoch].sum;
            sums[epoch].predictions += learner->losses[epoch].predictions;
        }
    return sums;
}

}  // namespace pyembed
