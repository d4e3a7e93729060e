#include <algorithm>

#include "operations.h"
#include "threads.h"

namespace pyembed {

template <class T>
std::optional<BadId> scatter_add_atomically(Rows<T> dst, const Ids& ids, const IdRule& rule,
                                            Rows<const T> rows) {
    if (const auto bad = find_bad_id(ids, rule)) return bad;
    const auto add_rows = kernels<T>().add_rows_atomically;
    constexpr i64 block = 512;
    const int threads = threads_for(ids.count * dst.dim * static_cast<i64>(sizeof(T)));
    parallel_blocks(ids.count, block, threads, [&](i64 begin, i64 end, int) {
        i64 resolved[block];
        resolve_ids(ids, rule, begin, end, resolved);
        add_rows(dst, resolved, end - begin, rows.row(begin), rows.stride);
    });
    return std::nullopt;
}

template <class T>
void add_gradient(const Plan<T>& plan, Rows<T> dst) {
    const auto add_segments = kernels<T>().add_segments;
    const i64 traffic = 2 * dst.dim * static_cast<i64>(sizeof(T));
    PlanSegments<T>(plan).for_each_block(traffic,
                                         [&](const Segments<T>& segments, i64 begin, i64 end, T* scratch) {
                                             add_segments(segments, begin, end, scratch, dst);
                                         });
}

template std::optional<BadId> scatter_add_atomically(Rows<float>, const Ids&, const IdRule&,
                                                     Rows<const float>);
template std::optional<BadId> scatter_add_atomically(Rows<double>, const Ids&, const IdRule&,
                                                     Rows<const double>);
template void add_gradient(const Plan<float>&, Rows<float>);
template void add_gradient(const Plan<double>&, Rows<double>);

}  // namespace pyembed
