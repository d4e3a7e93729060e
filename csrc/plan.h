// From the backward calls of one table to its sorted gradient: what a step, coalesce and to_dense begin with.
#pragma once

#include <atomic>
#include <optional>
#include <vector>

#include "bags.h"
#include "buffer.h"
#include "kernels.h"
#include "segments.h"
#include "threads.h"

namespace pyembed {

struct BadContribution {
    std::size_t contribution;
    BadId id;
};

// Owns the pairs (row, source) of several contributions.
// Borrows the gradients themselves.
template <class T>
class Plan {
  public:
    // Reads and checks all ids. Throws std::length_error where rows x sources do not fit into 64 bits.
    std::optional<BadContribution> collect(const std::vector<Contribution<T>>& contributions,
                                           const IdRule& rule);
    // Then one of: by row, within a row in order of position; or in order of position throughout.
    void sort();
    void keep_order();

    // Pairs that have a row: padding and zeroed ids are left out.
    i64 count() const { return count_; }
    i64 dim() const { return dim_; }
    Pairs pairs() const { return {items(), count_, source_bits_}; }
    const Sources<T>& sources() const { return sources_; }

  private:
    u64* items() const { return (sorted_into_spare_ ? spare_ : items_).template as<u64>(); }
    std::optional<BadId> collect(const Contribution<T>& contribution, const IdRule& rule, u64* items,
                                 i64 first_source, T* coefs, std::atomic<i64>& dropped) const;

    Buffer items_;
    Buffer spare_;
    Buffer coefs_;
    Buffer pointers_;
    Sources<T> sources_{};
    i64 total_ = 0;
    i64 count_ = 0;
    i64 dim_ = 0;
    i64 rows_ = 0;
    int row_bits_ = 0;
    int source_bits_ = 0;
    bool sorted_into_spare_ = false;
};

// A sorted plan's segments, with the sums of the long ones' chunks.
template <class T>
class PlanSegments {
  public:
    explicit PlanSegments(const Plan<T>& plan);

    // Deals the segments to a team: f(segments, begin, end, scratch) for blocks of pairs.
    // `traffic` is how many bytes a segment costs, beside its sources.
    template <class F>
    void for_each_block(i64 traffic, F f) const {
        const i64 dim = segments_.dim;
        const i64 row_bytes = dim * static_cast<i64>(sizeof(T));
        const int threads = threads_for(segments_.pairs.count * (row_bytes + traffic));
        const i64 scratch_stride = (dim + 63) / 64 * 64;
        const Buffer scratch = Buffer::of<T>(threads * scratch_stride);
        parallel_blocks(segments_.pairs.count, block, threads, [&](i64 begin, i64 end, int member) {
            f(segments_, begin, end, scratch.as<T>() + member * scratch_stride);
        });
    }

    static constexpr i64 block = 256;

  private:
    void find_long_segments();
    void sum_chunks();

    Segments<T> segments_;
    std::vector<LongSegment> long_segments_;
    Buffer chunk_sums_;
};

}  // namespace pyembed
