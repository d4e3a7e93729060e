#include <algorithm>

#include "operations.h"
#include "threads.h"

namespace pyembed {

template <class T>
Coalesced<T>::Coalesced(const SortedPlan<T>& plan) : plan_(plan), first_of_block_{0} {
    const Pairs pairs = plan.pairs();
    constexpr i64 block = SortedPlan<T>::block;
    for (i64 begin = 0; begin < pairs.count; begin += block) {
        i64 starts = 0;
        for (i64 i = begin; i < std::min(begin + block, pairs.count); ++i)
            starts += i == 0 || pairs.row(i) != pairs.row(i - 1) ? 1 : 0;
        first_of_block_.push_back(first_of_block_.back() + starts);
    }
}

template <class T>
void Coalesced<T>::write(i64* rows, T* out) const {
    const auto store_segments = kernels<T>().store_segments;
    plan_.for_each_block([&](const Segments<T>& segments, i64 begin, i64 end, T* scratch) {
        const i64 first = first_of_block_[static_cast<std::size_t>(begin / SortedPlan<T>::block)];
        store_segments(segments, begin, end, scratch, rows + first, out + first * segments.dim);
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

template class Coalesced<float>;
template class Coalesced<double>;
template void expand(const Plan<float>&, i64*, float*);
template void expand(const Plan<double>&, i64*, double*);

}  // namespace pyembed
