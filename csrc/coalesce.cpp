#include <numeric>
#include <vector>

#include "operations.h"
#include "threads.h"

namespace pyembed {
namespace {

// How many segments start in the pairs [begin, end).
i64 count_starts(const Pairs& pairs, i64 begin, i64 end) {
    i64 starts = 0;
    for (i64 i = begin; i < end; ++i) starts += i == 0 || pairs.row(i) != pairs.row(i - 1) ? 1 : 0;
    return starts;
}

}  // namespace

template <class T>
i64 count_rows(const Plan<T>& plan) {
    return count_starts(plan.pairs(), 0, plan.count());
}

template <class T>
void coalesce(const Plan<T>& plan, i64* rows, T* out) {
    const Pairs pairs = plan.pairs();
    const i64 dim = plan.dim();
    constexpr i64 block = PlanSegments<T>::block;
    // Where each block's first segment goes.
    std::vector<i64> firsts(static_cast<std::size_t>(plan.count() / block + 2));
    for (i64 begin = 0, b = 1; begin < plan.count(); begin += block, ++b) {
        const i64 starts = count_starts(pairs, begin, std::min(begin + block, plan.count()));
        firsts[static_cast<std::size_t>(b)] = firsts[static_cast<std::size_t>(b - 1)] + starts;
    }
    const auto store_segments = kernels<T>().store_segments;
    const i64 traffic = dim * static_cast<i64>(sizeof(T));
    PlanSegments<T>(plan).for_each_block(
        traffic, [&](const Segments<T>& segments, i64 begin, i64 end, T* scratch) {
            const i64 first = firsts[static_cast<std::size_t>(begin / block)];
            store_segments(segments, begin, end, scratch, rows + first, out + first * dim);
        });
}

template <class T>
void expand(const Plan<T>& plan, i64* rows, T* out) {
    const Pairs pairs = plan.pairs();
    const auto copy_sources = kernels<T>().copy_sources;
    const i64 row_bytes = plan.dim() * static_cast<i64>(sizeof(T));
    parallel_blocks(plan.count(), 2048, threads_for(plan.count() * row_bytes), [&](i64 begin, i64 end, int) {
        for (i64 i = begin; i < end; ++i) rows[i] = pairs.row(i);
        copy_sources(pairs, plan.sources(), begin, end, plan.dim(), out + begin * plan.dim());
    });
}

template i64 count_rows(const Plan<float>&);
template i64 count_rows(const Plan<double>&);
template void coalesce(const Plan<float>&, i64*, float*);
template void coalesce(const Plan<double>&, i64*, double*);
template void expand(const Plan<float>&, i64*, float*);
template void expand(const Plan<double>&, i64*, double*);

}  // namespace pyembed
