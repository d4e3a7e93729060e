#include <algorithm>
#include <limits>

#include "base/kernel.h"
#include "base/threads.h"
#include "lookup/lookup.h"
#include "lookup/row_reader.h"

namespace pyembed {
namespace {

// From the inner products of a bag's rows with its upstream gradient.
template <class T>
void bag_weight_gradient(Pooling pooling, const i64* rows, const double* dots, i64 n, const T* weights,
                         T* out) {
    const auto weight = [&](i64 i) { return weights != nullptr ? static_cast<double>(weights[i]) : 1.0; };
    Divisor divisor(pooling);
    double weighted_dots = 0.0;
    for (i64 i = 0; i < n; ++i) {
        if (rows[i] == no_row) continue;
        divisor.add(weight(i));
        weighted_dots += weight(i) * dots[i];
    }
    const double by = divisor.value();
    for (i64 i = 0; i < n; ++i) {
        const double slope = weight_slope(pooling, dots[i], weight(i), weighted_dots, by);
        const T made = slope == slope ? static_cast<T>(slope) : std::numeric_limits<T>::quiet_NaN();
        out[i] = rows[i] == no_row || by == 0.0 ? T{0} : made;  // every nan is the same
    }
}

}  // namespace

template <class E>
std::optional<BadId> weight_gradient(const LiveRows<E>& live, const Ids& ids, const IdPolicy& policy,
                                     const Bags& bags, Pooling pooling, const Compute<E>* weights,
                                     Rows<const Compute<E>> gradient, Compute<E>* out) {
    if (const auto bad = find_bad_id(ids, policy)) return bad;
    if (ids.count == 0) return std::nullopt;  // however many bags there are
    const int threads = threads_for(ids.count * live.rows.dim * static_cast<i64>(sizeof(E)));
    const i64 longest = bags.longest();
    const Buffer all_rows = Buffer::of<i64>(threads * longest);
    const Buffer all_dots = Buffer::of<double>(threads * longest);
    std::vector<RowReader<E>> readers;
    for (int member = 0; member < threads; ++member) readers.emplace_back(live, longest);
    parallel_blocks(bags.count, bags.bags_per_block(4096), threads, [&](i64 begin, i64 end, int member) {
        i64* const rows = all_rows.as<i64>() + member * longest;
        double* const dots = all_dots.as<double>() + member * longest;
        RowReader<E>& reader = readers[static_cast<std::size_t>(member)];
        for (i64 bag = begin; bag < end; ++bag) {
            const i64 first = bags.begin(bag);
            const i64 n = bags.end(bag) - first;
            resolve_ids(ids, policy, first, first + n, rows);
            reader.fetch(rows, n);
            kernel<DotRows<E>>()(reader.table(), reader.rows(), n, gradient.row(bag), dots);
            bag_weight_gradient(pooling, rows, dots, n, weights != nullptr ? weights + first : nullptr,
                                out + first);
        }
    });
    return std::nullopt;
}

#define PYEMBED_WEIGHT_GRADIENT(E)                                                                 \
    template std::optional<BadId> weight_gradient(const LiveRows<E>&, const Ids&, const IdPolicy&, \
                                                  const Bags&, Pooling, const Compute<E>*,         \
                                                  Rows<const Compute<E>>, Compute<E>*);
PYEMBED_FOR_ELEMENTS(PYEMBED_WEIGHT_GRADIENT)

}  // namespace pyembed
