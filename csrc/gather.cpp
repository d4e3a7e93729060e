#include <algorithm>

#include "operations.h"
#include "threads.h"

namespace pyembed {
namespace {

// An output of this size would leave the caches before it is read, and take other data with it. Narrower rows
// take longer to be put together to lines than that saves.
constexpr i64 streamed_bytes = 16 << 20;
constexpr i64 streamed_row_bytes = 256;

}  // namespace

template <class T>
std::optional<BadId> gather(const Readable<T>& readable, const Ids& ids, const IdRule& rule,
                            const Dropout& dropout, Rows<T> out) {
    if (const auto bad = find_bad_id(ids, rule)) return bad;
    const Kernels<T>& kernel = kernels<T>();
    const Rows<const T> table = readable.table;
    const T scale = static_cast<T>(dropout.scale());
    const i64 row_bytes = table.dim * static_cast<i64>(sizeof(T));
    const bool is_final = readable.unsettled == nullptr && scale == T{1};
    const bool streams = is_final && out.stride == out.dim && row_bytes >= streamed_row_bytes &&
                         ids.count * row_bytes >= streamed_bytes;
    // Enough to prefetch in, few enough that the last ones do not keep the team waiting.
    const i64 block = std::clamp<i64>((128 << 10) / std::max<i64>(row_bytes, 1), 32, 2048);
    parallel_blocks(ids.count, block, threads_for(2 * ids.count * row_bytes), [&](i64 begin, i64 end, int) {
        constexpr i64 piece = 256;
        i64 rows[piece + most_rows_ahead];
        for (i64 start = begin; start < end; start += piece) {
            const i64 stop = std::min(start + piece, end);
            const i64 ahead = std::min(stop + rows_ahead<T>(table.dim), ids.count);
            resolve_ids(ids, rule, start, ahead, rows);
            dropout.drop(rows, ahead - start);
            if (streams) {
                kernel.stream_rows(table, rows, stop - start, ahead - stop, out.row(start));
                continue;
            }
            kernel.copy_rows(table, rows, stop - start, ahead - stop, out.row(start), out.stride);
            const Rows<T> made{out.row(start), stop - start, out.dim, out.stride};
            if (readable.unsettled != nullptr)
                kernel.settle_copies(*readable.unsettled, rows, stop - start, made);
            if (scale != T{1}) kernel.scale_rows(made, scale);
        }
    });
    return std::nullopt;
}

template std::optional<BadId> gather(const Readable<float>&, const Ids&, const IdRule&, const Dropout&,
                                     Rows<float>);
template std::optional<BadId> gather(const Readable<double>&, const Ids&, const IdRule&, const Dropout&,
                                     Rows<double>);

}  // namespace pyembed
