#include "gradient/placed_rows.h"

#include <vector>

#include "base/kernel.h"
#include "base/prefetch.h"
#include "element/element.h"
#include "gradient/kernels.h"

namespace pyembed {
namespace {

// A segment that is no row of a source as it is.
struct Sum {
    i64 begin;
    i64 end;
    i64 number;  // among the rows
};

template <class T>
bool counts_as_it_is(const SummandsView<T>& summands) {
    return summands.coefs == nullptr && summands.winners == nullptr;
}

template <class T>
void prefetch_sources(const SummandsView<T>& summands, const Sum& sum) {
    if (sum.end - sum.begin > chunk_length) return;  // summed already
    for (i64 i = sum.begin; i < sum.end; ++i)
        prefetch_row(summands.source_row(summands.source(i)), summands.dim);
}

// out (D,): the sum of one segment
template <class T>
void sum_one(SegmentsView<T> view, const Sum& sum, T* scratch, T* out) {
    view.summands.count = sum.end;  // nothing beyond it is fetched ahead
    i64 row = 0;
    kernel<StoreSegments<T>>()(view, sum.begin, sum.begin + 1, scratch, &row, out);
}

}  // namespace

template <class T>
PlacedRows<T>::PlacedRows(const SummandsView<T>& summands, i64 first, i64 dim)
    : dim_(dim),
      rows_(Buffer::of<i64>(summands.count - first)),
      places_(Buffer::of<const T*>(summands.count - first)) {}

template <class T>
PlacedRows<T>::PlacedRows(const Segments<T>& segments, i64 first)
    : PlacedRows(segments.view().summands, first, segments.dim()) {
    const SegmentsView<T>& view = segments.view();
    const SummandsView<T>& summands = view.summands;
    std::vector<Sum> sums;
    for (i64 begin = first, end = first; begin < summands.count; begin = end) {
        const i64 row = summands.row(begin);
        while (end < summands.count && summands.row(end) == row) ++end;
        if (end - begin > 1 || !counts_as_it_is(summands)) sums.push_back({begin, end, count_});
        place(row, summands.source_row(summands.source(begin)));
    }

    const i64 count = static_cast<i64>(sums.size());
    sums_ = Buffer::of<T>(count * dim_);
    const int threads = segments.threads();
    const Buffer scratch = Buffer::of<T>(threads * scratch_stride(dim_));
    parallel_blocks(count, Segments<T>::block, threads, [&](i64 begin, i64 end, int member) {
        const i64 ahead = rows_ahead<T>(2 * dim_);  // of two summands each, or more
        for (i64 s = begin; s < end; ++s) {
            if (s + ahead < end) prefetch_sources(summands, sums[static_cast<std::size_t>(s + ahead)]);
            const Sum& sum = sums[static_cast<std::size_t>(s)];
            T* const out = sums_.template as<T>() + s * dim_;
            sum_one(view, sum, scratch.template as<T>() + member * scratch_stride(dim_), out);
            places_.template as<const T*>()[sum.number] = out;
        }
    });
}

template <class T>
PlacedRows<T>::PlacedRows(const Summands<T>& given, i64 first)
    : PlacedRows(given.view(), first, given.dim()) {
    const SummandsView<T> summands = given.view();
    const bool as_it_is = counts_as_it_is(summands);
    if (!as_it_is) {
        sums_ = Buffer::of<T>((summands.count - first) * dim_);
        kernel<CopySummands<T>>()(summands, first, summands.count, sums_.template as<T>());
    }
    for (i64 i = first; i < summands.count; ++i)
        place(summands.row(i), as_it_is ? summands.source_row(summands.source(i))
                                        : sums_.template as<T>() + (i - first) * dim_);
}

#define PYEMBED_PLACED_ROWS(T) template class PlacedRows<T>;
PYEMBED_FOR_ARITHMETIC(PYEMBED_PLACED_ROWS)

}  // namespace pyembed
