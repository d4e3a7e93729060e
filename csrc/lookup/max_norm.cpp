#include "lookup/max_norm.h"

#include <algorithm>
#include <atomic>

#include "base/kernel.h"
#include "base/threads.h"
#include "lookup/row_reader.h"

namespace pyembed {

template <class E>
std::vector<i64> rows_above(const LiveRows<E>& live, const Ids& ids, const IdPolicy& policy,
                            const RowSet& frozen, const MaxNorm& max_norm) {
    constexpr i64 piece = 256;
    const Buffer found = Buffer::of<i64>(ids.count);
    std::atomic<i64> count{0};
    const int threads = threads_for(ids.count * live.rows.dim * static_cast<i64>(sizeof(E)));
    std::vector<RowReader<E>> readers;
    for (int member = 0; member < threads; ++member) readers.emplace_back(live, piece);
    parallel_blocks(ids.count, piece, threads, [&](i64 begin, i64 end, int member) {
        i64 rows[piece];
        double norms[piece];
        resolve_ids(ids, policy, begin, end, rows);
        RowReader<E>& reader = readers[static_cast<std::size_t>(member)];
        reader.fetch(rows, end - begin);
        kernel<RowNorms<E>>()(reader.table(), reader.rows(), end - begin, max_norm.p, norms);
        for (i64 i = 0; i < end - begin; ++i)
            if (norms[i] > max_norm.limit && !frozen.contains(rows[i])) found.as<i64>()[count++] = rows[i];
    });
    i64* const first = found.as<i64>();
    std::sort(first, first + count);
    return {first, std::unique(first, first + count)};
}

template <class E>
void renormalise(Rows<E> table, const std::vector<i64>& rows, const MaxNorm& max_norm) {
    constexpr i64 piece = 256;
    const i64 count = static_cast<i64>(rows.size());
    const int threads = threads_for(2 * count * table.dim * static_cast<i64>(sizeof(E)));
    parallel_blocks(count, piece, threads, [&](i64 begin, i64 end, int) {
        double norms[piece];
        kernel<RowNorms<E>>()(read_only(table), rows.data() + begin, end - begin, max_norm.p, norms);
        for (i64 i = begin; i < end; ++i) {
            const double factor = max_norm.limit / (norms[i - begin] + 1e-7);
            kernel<ScaleRows<E>>()({table.row(rows[static_cast<std::size_t>(i)]), 1, table.dim, table.dim},
                                   static_cast<Compute<E>>(factor));
        }
    });
}

#define PYEMBED_MAX_NORM(E)                                                                              \
    template std::vector<i64> rows_above(const LiveRows<E>&, const Ids&, const IdPolicy&, const RowSet&, \
                                         const MaxNorm&);                                                \
    template void renormalise(Rows<E>, const std::vector<i64>&, const MaxNorm&);
PYEMBED_FOR_ELEMENTS(PYEMBED_MAX_NORM)

}  // namespace pyembed
