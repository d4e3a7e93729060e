#include <algorithm>

#include "operations.h"
#include "threads.h"

namespace pyembed {

template <class T>
void add_gradient(const SortedPlan<T>& plan, Rows<T> dst) {
    const auto add_segments = kernels<T>().add_segments;
    plan.for_each_block([&](const Segments<T>& segments, i64 begin, i64 end, T* scratch) {
        add_segments(segments, begin, end, scratch, dst);
    });
}

template <class T>
void add_gradient_atomically(const Plan<T>& plan, Rows<T> dst) {
    constexpr i64 block = 64;  // so many rows of sources stay in the cache
    const Kernels<T>& kernel = kernels<T>();
    const Pairs pairs = plan.pairs();
    const int threads = threads_for(plan.count() * dst.dim * static_cast<i64>(sizeof(T)));
    const Buffer scratch = Buffer::of<T>(threads * block * dst.dim);
    parallel_blocks(plan.count(), block, threads, [&](i64 begin, i64 end, int member) {
        T* const values = scratch.as<T>() + member * block * dst.dim;
        kernel.copy_sources(pairs, plan.sources(), begin, end, dst.dim, values);
        kernel.add_rows_atomically(pairs, begin, end, values, dst);
    });
}

template void add_gradient(const SortedPlan<float>&, Rows<float>);
template void add_gradient(const SortedPlan<double>&, Rows<double>);
template void add_gradient_atomically(const Plan<float>&, Rows<float>);
template void add_gradient_atomically(const Plan<double>&, Rows<double>);

}  // namespace pyembed
