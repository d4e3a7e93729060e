#include "gradient/segments.h"

#include <algorithm>

#include "base/kernel.h"
#include "element/element.h"
#include "gradient/kernels.h"

namespace pyembed {

template <class T>
Segments<T>::Segments(Summands<T> summands) : summands_(std::move(summands)) {
    summands_.sort();
    view_.summands = summands_.view();
    find_long_segments();
    sum_chunks();
    // Beside its sources, a row of the table and perhaps of optimizer state is read and written.
    threads_ = threads_for(4 * summands_.count() * dim() * static_cast<i64>(sizeof(T)));
    scratch_ = Buffer::of<T>(threads_ * scratch_stride(dim()));
}

// A segment longer than a chunk covers a multiple of the chunk's length, and from there at least half a chunk
// to one of the sides: only few places need a closer look.
template <class T>
void Segments<T>::find_long_segments() {
    const SummandsView<T>& summands = view_.summands;
    constexpr i64 half = chunk_length / 2;
    i64 chunks = 0;
    i64 found_to = 0;
    for (i64 at = 0; at < summands.count; at += chunk_length) {
        const i64 row = summands.row(at);
        const bool goes_left = at >= half && summands.row(at - half) == row;
        const bool goes_right = at + half < summands.count && summands.row(at + half) == row;
        if (at < found_to || !(goes_left || goes_right)) continue;
        const LongSegment segment{summands.first_of(row), summands.first_of(row + 1), chunks};
        if (segment.end - segment.begin <= chunk_length) continue;
        long_segments_.push_back(segment);
        chunks += (segment.end - segment.begin + chunk_length - 1) / chunk_length;
        found_to = segment.end;
    }
    chunk_sums_ = Buffer::of<T>(chunks * dim());
    view_.long_segments = long_segments_.data();
    view_.long_count = static_cast<i64>(long_segments_.size());
    view_.chunk_sums = chunk_sums_.template as<T>();
}

template <class T>
void Segments<T>::sum_chunks() {
    struct Chunk {
        i64 begin;
        i64 end;
    };
    std::vector<Chunk> chunks;
    for (const LongSegment& segment : long_segments_)
        for (i64 begin = segment.begin; begin < segment.end; begin += chunk_length)
            chunks.push_back({begin, std::min(begin + chunk_length, segment.end)});
    const i64 count = static_cast<i64>(chunks.size());
    const int threads = threads_for(count * chunk_length * dim() * static_cast<i64>(sizeof(T)));
    parallel_blocks(count, 1, threads, [&](i64 begin, i64, int) {
        const Chunk chunk = chunks[static_cast<std::size_t>(begin)];
        kernel<SumSummands<T>>()(view_.summands, chunk.begin, chunk.end,
                                 chunk_sums_.template as<T>() + begin * dim());
    });
}

#define PYEMBED_SEGMENTS(T) template class Segments<T>;
PYEMBED_FOR_ARITHMETIC(PYEMBED_SEGMENTS)

}  // namespace pyembed
