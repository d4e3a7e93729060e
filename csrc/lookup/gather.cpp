#include <algorithm>

#include "base/kernel.h"
#include "base/prefetch.h"
#include "base/threads.h"
#include "lookup/kernels.h"
#include "lookup/lookup.h"

namespace pyembed {
namespace {

// An output of this size would leave the caches before it is read, and take other data with it. Narrower rows
// take longer to be put together to lines than that saves.
constexpr i64 streamed_bytes = 16 << 20;
constexpr i64 streamed_row_bytes = 256;

}  // namespace

template <class E>
std::optional<BadId> gather(const LiveRows<E>& live, const Ids& ids, const IdPolicy& policy,
                            const Dropout& dropout, Rows<Compute<E>> out) {
    using T = Compute<E>;
    if (const auto bad = find_bad_id(ids, policy)) return bad;
    const Rows<const E> table = live.rows;
    const T scale = static_cast<T>(dropout.scale());
    const i64 row_bytes = table.dim * static_cast<i64>(sizeof(T));
    const bool is_final = live.pending == nullptr && scale == T{1};
    const bool streams = is_final && out.stride == out.dim && row_bytes >= streamed_row_bytes &&
                         ids.count * row_bytes >= streamed_bytes;
    // Enough to prefetch in, few enough that the last ones do not keep the team waiting.
    const i64 block = std::clamp<i64>((128 << 10) / std::max<i64>(row_bytes, 1), 32, 2048);
    parallel_blocks(ids.count, block, threads_for(2 * ids.count * row_bytes), [&](i64 begin, i64 end, int) {
        constexpr i64 piece = 256;
        i64 rows[piece + most_rows_ahead];
        for (i64 start = begin; start < end; start += piece) {
            const i64 stop = std::min(start + piece, end);
            const i64 ahead = std::min(stop + rows_ahead<E>(table.dim), ids.count);
            resolve_ids(ids, policy, start, ahead, rows);
            dropout.drop(rows, ahead - start);
            if (streams) {
                kernel<StreamRows<E>>()(table, rows, stop - start, ahead - stop, out.row(start));
                continue;
            }
            kernel<CopyRows<E>>()(table, rows, stop - start, ahead - stop, out.row(start), out.stride);
            const Rows<T> made{out.row(start), stop - start, out.dim, out.stride};
            if (live.pending != nullptr) live.pending->settle_copies(rows, stop - start, made);
            if (scale != T{1}) kernel<ScaleRows<T>>()(made, scale);
        }
    });
    return std::nullopt;
}

#define PYEMBED_GATHER(E)                                                                                 \
    template std::optional<BadId> gather(const LiveRows<E>&, const Ids&, const IdPolicy&, const Dropout&, \
                                         Rows<Compute<E>>);
PYEMBED_FOR_ELEMENTS(PYEMBED_GATHER)

}  // namespace pyembed
