#include <algorithm>

#include "base/kernel.h"
#include "base/threads.h"
#include "element/element.h"
#include "gradient/gradient.h"
#include "gradient/kernels.h"

namespace pyembed {

template <class T>
void expand(const Summands<T>& summands, i64 count, i64* rows, T* out) {
    const SummandsView<T> view = summands.view();
    const int threads = threads_for(count * view.dim * static_cast<i64>(sizeof(T)));
    parallel_blocks(count, 2048, threads, [&](i64 begin, i64 end, int) {
        for (i64 i = begin; i < end; ++i) rows[i] = view.row(i);
        kernel<CopySummands<T>>()(view, begin, end, out + begin * view.dim);
    });
}

template <class T>
Coalesced<T>::Coalesced(const Segments<T>& segments, i64 stop)
    : segments_(segments), stop_(stop), first_of_block_{0} {
    const SummandsView<T>& summands = segments.view().summands;
    constexpr i64 block = Segments<T>::block;
    for (i64 begin = 0; begin < stop; begin += block) {
        i64 starts = 0;
        for (i64 i = begin; i < std::min(begin + block, stop); ++i)
            starts += i == 0 || summands.row(i) != summands.row(i - 1) ? 1 : 0;
        first_of_block_.push_back(first_of_block_.back() + starts);
    }
}

template <class T>
void Coalesced<T>::write(i64* rows, T* out) const {
    segments_.for_each_block(stop_, [&](const SegmentsView<T>& view, i64 begin, i64 end, T* scratch, int) {
        const i64 first = first_of_block_[static_cast<std::size_t>(begin / Segments<T>::block)];
        kernel<StoreSegments<T>>()(view, begin, end, scratch, rows + first, out + first * segments_.dim());
    });
}

#define PYEMBED_COALESCE(T)                                  \
    template void expand(const Summands<T>&, i64, i64*, T*); \
    template class Coalesced<T>;
PYEMBED_FOR_ARITHMETIC(PYEMBED_COALESCE)

}  // namespace pyembed
