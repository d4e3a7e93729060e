#include <algorithm>

#include "operations.h"
#include "threads.h"

namespace pyembed {
namespace {

// From the inner products d = g x of a bag's rows with its upstream gradient. With y the pooled row:
// sum: d; mean: (d - g y) / sum w; sqrtn: (d - w g y / sqrt(sum w^2)) / sqrt(sum w^2).
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
        double slope = dots[i];
        if (pooling == Pooling::mean) slope = (slope - weighted_dots / by) / by;
        if (pooling == Pooling::sqrtn) slope = (slope - weight(i) * (weighted_dots / by) / by) / by;
        out[i] = rows[i] == no_row || by == 0.0 ? T{0} : static_cast<T>(slope);
    }
}

}  // namespace

template <class T>
void weight_gradient(const Readable<T>& readable, const Ids& ids, const IdRule& rule, const Bags& bags,
                     Pooling pooling, const T* weights, Rows<const T> gradient, T* out) {
    const auto dot_rows = kernels<T>().dot_rows;
    const i64 row_bytes = readable.table.dim * static_cast<i64>(sizeof(T));
    const int threads = threads_for(ids.count * row_bytes);
    const i64 longest = bags.longest();
    const Buffer all_rows = Buffer::of<i64>(threads * longest);
    const Buffer all_dots = Buffer::of<double>(threads * longest);
    std::vector<SettledRows<T>> readers;
    for (int member = 0; member < threads; ++member) readers.emplace_back(readable, longest);
    parallel_blocks(bags.count, bags.bags_per_block(4096), threads, [&](i64 begin, i64 end, int member) {
        i64* const rows = all_rows.as<i64>() + member * longest;
        double* const dots = all_dots.as<double>() + member * longest;
        SettledRows<T>& reader = readers[static_cast<std::size_t>(member)];
        for (i64 bag = begin; bag < end; ++bag) {
            const i64 first = bags.begin(bag);
            const i64 n = bags.end(bag) - first;
            resolve_ids(ids, rule, first, first + n, rows);
            reader.fetch(rows, n);
            dot_rows(reader.table(), reader.rows(), n, gradient.row(bag), dots);
            bag_weight_gradient(pooling, rows, dots, n, weights != nullptr ? weights + first : nullptr,
                                out + first);
        }
    });
}

template void weight_gradient(const Readable<float>&, const Ids&, const IdRule&, const Bags&, Pooling,
                              const float*, Rows<const float>, float*);
template void weight_gradient(const Readable<double>&, const Ids&, const IdRule&, const Bags&, Pooling,
                              const double*, Rows<const double>, double*);

}  // namespace pyembed
