#include "base/kernel.h"
#include "base/threads.h"
#include "element/element.h"
#include "gradient/gradient.h"
#include "gradient/kernels.h"

namespace pyembed {

template <class T>
void add_gradient(const Segments<T>& segments, Rows<T> dst) {
    segments.for_each_block([&](const SegmentsView<T>& view, i64 begin, i64 end, T* scratch, int) {
        kernel<AddSegments<T>>()(view, begin, end, scratch, dst);
    });
}

template <class T>
void add_gradient_atomically(const Summands<T>& summands, Rows<T> dst) {
    constexpr i64 block = 64;  // so many rows stay in the cache
    const SummandsView<T> view = summands.view();
    const int threads = threads_for(view.count * dst.dim * static_cast<i64>(sizeof(T)));
    const Buffer scratch = Buffer::of<T>(threads * block * dst.dim);
    parallel_blocks(view.count, block, threads, [&](i64 begin, i64 end, int member) {
        T* const values = scratch.as<T>() + member * block * dst.dim;
        kernel<CopySummands<T>>()(view, begin, end, values);
        kernel<AddRowsAtomically<T>>()(view, begin, end, values, dst);
    });
}

#define PYEMBED_ADD(T)                                       \
    template void add_gradient(const Segments<T>&, Rows<T>); \
    template void add_gradient_atomically(const Summands<T>&, Rows<T>);
PYEMBED_FOR_ARITHMETIC(PYEMBED_ADD)

}  // namespace pyembed
