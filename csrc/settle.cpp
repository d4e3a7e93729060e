#include <algorithm>

#include "operations.h"
#include "threads.h"

namespace pyembed {
namespace {

constexpr i64 piece = 256;

template <class T>
int settling_threads(const Unsettled<T>& unsettled, i64 rows) {
    return threads_for(3 * rows * unsettled.state.dim * static_cast<i64>(sizeof(T)));
}

}  // namespace

template <class T>
void settle_rows(const Unsettled<T>& unsettled, Rows<T> table, const std::vector<i64>& rows) {
    const i64 count = static_cast<i64>(rows.size());
    parallel_blocks(count, piece, settling_threads(unsettled, count), [&](i64 begin, i64 end, int) {
        kernels<T>().settle_rows(unsettled, table, rows.data() + begin, end - begin);
    });
}

template <class T>
void settle_range(const Unsettled<T>& unsettled, Rows<T> table, i64 first, i64 last) {
    const i64 count = last - first;
    parallel_blocks(count, piece, settling_threads(unsettled, count), [&](i64 begin, i64 end, int) {
        i64 rows[piece];
        for (i64 i = begin; i < end; ++i) rows[i - begin] = first + i;
        kernels<T>().settle_rows(unsettled, table, rows, end - begin);
    });
}

template void settle_rows(const Unsettled<float>&, Rows<float>, const std::vector<i64>&);
template void settle_rows(const Unsettled<double>&, Rows<double>, const std::vector<i64>&);
template void settle_range(const Unsettled<float>&, Rows<float>, i64, i64);
template void settle_range(const Unsettled<double>&, Rows<double>, i64, i64);

}  // namespace pyembed
