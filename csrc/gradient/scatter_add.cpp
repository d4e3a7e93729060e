#include <algorithm>

#include "base/kernel.h"
#include "base/threads.h"
#include "element/element.h"
#include "gradient/gradient.h"
#include "gradient/kernels.h"

namespace pyembed {
namespace {

template <class T>
void zero_rows(Rows<T> dst, i64 begin, i64 end) {
    if (dst.stride == dst.dim) {
        std::fill_n(dst.row(begin), (end - begin) * dst.dim, T{0});
        return;
    }
    for (i64 row = begin; row < end; ++row) std::fill_n(dst.row(row), dst.dim, T{0});
}

template <class T>
void zero_all(Rows<T> dst) {
    const i64 row_bytes = dst.dim * static_cast<i64>(sizeof(T));
    parallel_row_ranges(dst.rows, row_bytes, threads_for(dst.rows * row_bytes),
                        [&](i64 begin, i64 end, int) { zero_rows(dst, begin, end); });
}

}  // namespace

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

// In one pass where ids are so few that even one range could have all of them: each range is zeroed, and the
// segments added while it is in the cache. Else segments are dealt by their own number, after all is zeroed.
template <class T>
void write_gradient(const Segments<T>& segments, Rows<T> dst) {
    const SegmentsView<T>& view = segments.view();
    const i64 row_bytes = dst.dim * static_cast<i64>(sizeof(T));
    const int threads = threads_for(dst.rows * row_bytes);
    if (view.summands.count * threads > dst.rows) {
        zero_all(dst);
        add_gradient(segments, dst);
        return;
    }
    const Buffer scratch = Buffer::of<T>(threads * scratch_stride(dst.dim));
    parallel_row_ranges(dst.rows, row_bytes, threads, [&](i64 begin, i64 end, int member) {
        zero_rows(dst, begin, end);
        kernel<AddSegments<T>>()(view, view.summands.first_of(begin), view.summands.first_of(end),
                                 scratch.as<T>() + member * scratch_stride(dst.dim), dst);
    });
}

template <class T>
void write_gradient_atomically(const Summands<T>& summands, Rows<T> dst) {
    zero_all(dst);
    add_gradient_atomically(summands, dst);
}

#define PYEMBED_ADD(T)                                                  \
    template void add_gradient(const Segments<T>&, Rows<T>);            \
    template void add_gradient_atomically(const Summands<T>&, Rows<T>); \
    template void write_gradient(const Segments<T>&, Rows<T>);          \
    template void write_gradient_atomically(const Summands<T>&, Rows<T>);
PYEMBED_FOR_ARITHMETIC(PYEMBED_ADD)

}  // namespace pyembed
