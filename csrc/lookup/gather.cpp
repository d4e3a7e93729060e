#include <algorithm>
#include <cstdint>

#include "base/buffer.h"
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

constexpr i64 piece = 256;  // rows whose numbers are known at once

// Copies rows of the table to out (count, D). resolve(begin, end, rows) tells which; finish(begin, rows,
// made) makes of copies what they are to be, where they are not `final` yet.
template <class E, class Resolve, class Finish>
void copy_all(const Rows<const E>& table, i64 count, bool final, Resolve resolve, Finish finish,
              const Rows<Compute<E>>& out) {
    using T = Compute<E>;
    const i64 row_bytes = table.dim * static_cast<i64>(sizeof(T));
    const bool streams = final && out.stride == out.dim && row_bytes >= streamed_row_bytes &&
                         count * row_bytes >= streamed_bytes;
    // Enough to prefetch in, few enough that the last ones do not keep the team waiting.
    const i64 block = std::clamp<i64>((128 << 10) / std::max<i64>(row_bytes, 1), 32, 2048);
    parallel_blocks(count, block, threads_for(2 * count * row_bytes), [&](i64 begin, i64 end, int) {
        i64 rows[piece + most_rows_ahead];
        for (i64 start = begin; start < end; start += piece) {
            const i64 stop = std::min(start + piece, end);
            const i64 ahead = std::min(stop + rows_ahead<E>(table.dim), count);
            resolve(start, ahead, rows);
            if (streams) {
                kernel<StreamRows<E>>()(table, rows, stop - start, ahead - stop, out.row(start));
                continue;
            }
            kernel<CopyRows<E>>()(table, rows, stop - start, ahead - stop, out.row(start), out.stride);
            if (!final) finish(start, rows, Rows<T>{out.row(start), stop - start, out.dim, out.stride});
        }
    });
}

// The rows of two arrays as those of one, that begins where the first of them does and has a row at every
// element: for kernels that know one array.
template <class E>
class Beside {
  public:
    Beside(const Rows<const E>& one, const Rows<const E>& other)
        : base_(other.rows == 0 || address(one.data) < address(other.data) ? one.data : other.data),
          rows_(one.rows + other.rows),
          dim_(one.dim) {}

    Rows<const E> all() const { return {base_, rows_, dim_, 1}; }
    i64 number(const E* row) const { return static_cast<i64>((address(row) - address(base_)) / sizeof(E)); }

  private:
    static std::uintptr_t address(const E* row) { return reinterpret_cast<std::uintptr_t>(row); }

    const E* base_;
    i64 rows_;
    i64 dim_;
};

}  // namespace

template <class E>
std::optional<BadId> gather(const LiveRows<E>& live, const Ids& ids, const IdPolicy& policy,
                            const Dropout& dropout, Rows<Compute<E>> out) {
    using T = Compute<E>;
    if (const auto bad = find_bad_id(ids, policy)) return bad;
    const T scale = static_cast<T>(dropout.scale());
    const auto resolve = [&](i64 begin, i64 end, i64* rows) {
        resolve_ids(ids, policy, begin, end, rows);
        dropout.drop(rows, end - begin);
    };
    const auto finish = [&](i64, const i64* rows, const Rows<T>& made) {
        if (live.pending != nullptr) live.pending->settle_copies(rows, made.rows, made);
        if (scale != T{1}) kernel<ScaleRows<T>>()(made, scale);
    };
    copy_all<E>(live.rows, ids.count, live.pending == nullptr && scale == T{1}, resolve, finish, out);
    return std::nullopt;
}

template <class E>
std::optional<BadId> gather_beside(const LiveRows<E>& live, const Ids& ids, const Rows<const E>& others,
                                   const Ids& positions, Rows<Compute<E>> out) {
    const IdPolicy own_policy{live.rows.rows};
    if (const auto bad = find_bad_id(ids, own_policy)) return bad;
    const Buffer own = Buffer::of<i64>(ids.count);
    resolve_ids(ids, own_policy, 0, ids.count, own.as<i64>());
    const IdPolicy all_policy{others.rows + ids.count, OutOfRange::zero};
    const Beside<E> beside(live.rows, others);
    const auto own_row = [&](i64 position) {
        return position < others.rows ? no_row : own.as<i64>()[position - others.rows];
    };
    const auto resolve = [&](i64 begin, i64 end, i64* rows) {
        resolve_ids(positions, all_policy, begin, end, rows);
        for (i64* row = rows; row < rows + (end - begin); ++row) {
            if (*row == no_row) continue;
            const i64 here = own_row(*row);
            *row = beside.number(here == no_row ? others.row(*row) : live.rows.row(here));
        }
    };
    const auto finish = [&](i64 begin, i64* rows, const Rows<Compute<E>>& made) {
        resolve_ids(positions, all_policy, begin, begin + made.rows, rows);
        std::transform(rows, rows + made.rows, rows, own_row);
        live.pending->settle_copies(rows, made.rows, made);
    };
    copy_all<E>(beside.all(), positions.count, live.pending == nullptr, resolve, finish, out);
    return std::nullopt;
}

#define PYEMBED_GATHER(E)                                                                                 \
    template std::optional<BadId> gather(const LiveRows<E>&, const Ids&, const IdPolicy&, const Dropout&, \
                                         Rows<Compute<E>>);                                               \
    template std::optional<BadId> gather_beside(const LiveRows<E>&, const Ids&, const Rows<const E>&,     \
                                                const Ids&, Rows<Compute<E>>);
PYEMBED_FOR_ELEMENTS(PYEMBED_GATHER)

}  // namespace pyembed
