// From the backward calls of one table to its sorted gradient: what a step, coalesce and to_dense begin with.
#pragma once

#include <optional>
#include <vector>

#include "bags.h"
#include "buffer.h"
#include "kernels.h"
#include "row_set.h"
#include "segments.h"
#include "threads.h"

namespace pyembed {

struct BadContribution {
    std::size_t contribution;
    BadId id;
};

// The pairs (row, source) of several contributions, in order of position; ids without a row are left out.
// Borrows the gradients themselves.
template <class T>
class Plan {
  public:
    // Reads and checks all ids; the rows in `frozen` have no gradient. Throws std::length_error where
    // rows x sources do not fit into 64 bits.
    std::optional<BadContribution> collect(const std::vector<Contribution<T>>& contributions,
                                           const IdRule& rule, const RowSet& frozen);

    i64 count() const { return count_; }
    i64 dim() const { return dim_; }
    Pairs pairs() const { return {items_.template as<u64>(), count_, source_bits_}; }
    const Sources<T>& sources() const { return sources_; }

  private:
    template <class U>
    friend class SortedPlan;

    void sort();

    Buffer items_;
    Buffer coefs_;
    Buffer rows_;
    Buffer winners_;
    Buffer positions_;
    Buffer everywhere_;
    Sources<T> sources_{};
    i64 count_ = 0;
    i64 dim_ = 0;
    int row_bits_ = 0;
    int source_bits_ = 0;
};

// A plan sorted by row, within a row in order of position, with all that a pass over its segments needs:
// making it may fail, using it cannot.
template <class T>
class SortedPlan {
  public:
    using Element = T;
    explicit SortedPlan(Plan<T> plan);
    SortedPlan(const SortedPlan&) = delete;
    SortedPlan& operator=(const SortedPlan&) = delete;

    i64 dim() const { return segments_.dim; }
    Pairs pairs() const { return segments_.pairs; }

    // Deals the segments to a team: f(segments, begin, end, scratch) for blocks of pairs.
    template <class F>
    void for_each_block(F f) const {
        parallel_blocks(pairs().count, block, threads_, [&](i64 begin, i64 end, int member) {
            f(segments_, begin, end, scratch_.template as<T>() + member * scratch_stride_);
        });
    }

    static constexpr i64 block = 256;

  private:
    void find_long_segments();
    void sum_chunks();

    Plan<T> plan_;
    Segments<T> segments_{};
    std::vector<LongSegment> long_segments_;
    Buffer chunk_sums_;
    int threads_ = 1;
    i64 scratch_stride_ = 0;
    Buffer scratch_;  // a row for each thread
};

}  // namespace pyembed
