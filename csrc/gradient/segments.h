// The last stage of a gradient: its summands sorted, one segment a row.
#pragma once

#include <vector>

#include "base/threads.h"
#include "gradient/summands.h"

namespace pyembed {

// From a thread's row of scratch to the next one's: no two of them share a line.
inline i64 scratch_stride(i64 dim) {
    return (dim + 63) / 64 * 64;
}

// With all that a pass over the segments needs: making it may fail, using it cannot.
template <class T>
class Segments {
  public:
    explicit Segments(Summands<T> summands);
    Segments(const Segments&) = delete;
    Segments& operator=(const Segments&) = delete;

    i64 dim() const { return view_.summands.dim; }
    const SegmentsView<T>& view() const { return view_; }

    // Deals the segments to a team: f(view, begin, end, scratch, member) for blocks of pairs; scratch (dim,).
    template <class F>
    void for_each_block(F f) const {
        for_each_block(view_.summands.count, f);
    }
    // Those that start before pair `stop`.
    template <class F>
    void for_each_block(i64 stop, F f) const {
        parallel_blocks(stop, block, threads_, [&](i64 begin, i64 end, int member) {
            f(view_, begin, end, scratch_.template as<T>() + member * scratch_stride(dim()), member);
        });
    }
    int threads() const { return threads_; }

    static constexpr i64 block = 256;

  private:
    void find_long_segments();
    void sum_chunks();

    Summands<T> summands_;
    SegmentsView<T> view_{};
    std::vector<LongSegment> long_segments_;
    Buffer chunk_sums_;
    int threads_ = 1;
    Buffer scratch_;  // a row for each thread
};

}  // namespace pyembed
