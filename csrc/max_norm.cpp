#include <algorithm>
#include <atomic>

#include "operations.h"
#include "threads.h"

namespace pyembed {

template <class T>
std::vector<i64> rows_above(const Readable<T>& readable, const Ids& ids, const IdRule& rule,
                            const RowSet& frozen, const MaxNorm& max_norm) {
    constexpr i64 piece = 256;
    const auto row_norms = kernels<T>().row_norms;
    const Buffer found = Buffer::of<i64>(ids.count);
    std::atomic<i64> count{0};
    const int threads = threads_for(ids.count * readable.table.dim * static_cast<i64>(sizeof(T)));
    std::vector<SettledRows<T>> readers;
    for (int member = 0; member < threads; ++member) readers.emplace_back(readable, piece);
    parallel_blocks(ids.count, piece, threads, [&](i64 begin, i64 end, int member) {
        i64 rows[piece];
        double norms[piece];
        resolve_ids(ids, rule, begin, end, rows);
        SettledRows<T>& reader = readers[static_cast<std::size_t>(member)];
        reader.fetch(rows, end - begin);
        row_norms(reader.table(), reader.rows(), end - begin, max_norm.p, norms);
        for (i64 i = 0; i < end - begin; ++i)
            if (norms[i] > max_norm.limit && !frozen.contains(rows[i])) found.as<i64>()[count++] = rows[i];
    });
    i64* const first = found.as<i64>();
    std::sort(first, first + count);
    return {first, std::unique(first, first + count)};
}

template <class T>
void renormalise(Rows<T> table, const std::vector<i64>& rows, const MaxNorm& max_norm) {
    constexpr i64 piece = 256;
    const Kernels<T>& kernel = kernels<T>();
    const i64 count = static_cast<i64>(rows.size());
    const int threads = threads_for(2 * count * table.dim * static_cast<i64>(sizeof(T)));
    parallel_blocks(count, piece, threads, [&](i64 begin, i64 end, int) {
        double norms[piece];
        kernel.row_norms(read_only(table), rows.data() + begin, end - begin, max_norm.p, norms);
        for (i64 i = begin; i < end; ++i) {
            const double factor = max_norm.limit / (norms[i - begin] + 1e-7);
            kernel.scale_rows({table.row(rows[static_cast<std::size_t>(i)]), 1, table.dim, table.dim},
                              static_cast<T>(factor));
        }
    });
}

template std::vector<i64> rows_above(const Readable<float>&, const Ids&, const IdRule&, const RowSet&,
                                     const MaxNorm&);
template std::vector<i64> rows_above(const Readable<double>&, const Ids&, const IdRule&, const RowSet&,
                                     const MaxNorm&);
template void renormalise(Rows<float>, const std::vector<i64>&, const MaxNorm&);
template void renormalise(Rows<double>, const std::vector<i64>&, const MaxNorm&);

}  // namespace pyembed
