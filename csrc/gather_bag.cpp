#include <algorithm>
#include <vector>

#include "operations.h"
#include "threads.h"

namespace pyembed {
namespace {

// A group of consecutive bags with their rows resolved and those without a row taken out.
template <class T>
class Group {
  public:
    Group(i64 most_ids, i64 most_bags, bool weighted, bool positioned)
        : rows_(Buffer::of<i64>(most_ids)),
          weights_(Buffer::of<T>(weighted ? most_ids : 0)),
          positions_(Buffer::of<Position<T>>(positioned ? most_ids : 0)),
          ends_(Buffer::of<i64>(most_bags)),
          divisors_(Buffer::of<T>(most_bags)) {}

    BagRows<T> resolve(const Ids& ids, const IdRule& rule, const Bags& bags, i64 begin, i64 end,
                       Pooling pooling, const T* weights) {
        i64* const rows = rows_.as<i64>();
        T* const kept_weights = weights_.template as<T>();
        Position<T>* const positions =
            pooling == Pooling::max ? positions_.template as<Position<T>>() : nullptr;
        const i64 first = bags.begin(begin);
        resolve_ids(ids, rule, first, bags.end(end - 1), rows);
        i64 kept = 0;
        for (i64 bag = begin; bag < end; ++bag) {
            Divisor divisor(pooling);
            for (i64 i = bags.begin(bag); i < bags.end(bag); ++i) {
                const i64 row = rows[i - first];
                if (row == no_row) continue;
                rows[kept] = row;
                if (weights != nullptr) kept_weights[kept] = weights[i];
                if (positions != nullptr) positions[kept] = static_cast<Position<T>>(i - bags.begin(bag));
                divisor.add(weights != nullptr ? weights[i] : 1.0);
                ++kept;
            }
            ends_.as<i64>()[bag - begin] = kept;
            divisors_.template as<T>()[bag - begin] = static_cast<T>(divisor.value());
        }
        const bool divides = pooling == Pooling::mean || pooling == Pooling::sqrtn;
        return {rows,
                weights != nullptr ? kept_weights : nullptr,
                positions,
                ends_.as<i64>(),
                divides ? divisors_.template as<T>() : nullptr,
                end - begin};
    }

  private:
    Buffer rows_;
    Buffer weights_;
    Buffer positions_;
    Buffer ends_;
    Buffer divisors_;
};

constexpr i64 ids_in_group = 1024;
constexpr i64 bags_in_group = 256;

// Where the group that starts with bag `begin` ends: a bag of its own where it is large.
i64 group_end(const Bags& bags, i64 begin, i64 end) {
    const i64 stop = std::min(begin + bags_in_group, end);
    i64 bag = begin + 1;
    while (bag < stop && bags.end(bag) - bags.begin(begin) <= ids_in_group) ++bag;
    return bag;
}

}  // namespace

template <class T>
std::optional<BadId> gather_bag(Rows<const T> table, const Ids& ids, const IdRule& rule, const Bags& bags,
                                Pooling pooling, const T* weights, Rows<T> out, Position<T>* winners) {
    if (const auto bad = find_bad_id(ids, rule)) return bad;
    const Kernels<T>& kernel = kernels<T>();
    const i64 row_bytes = table.dim * static_cast<i64>(sizeof(T));
    const int threads = threads_for(ids.count * row_bytes);
    std::vector<Group<T>> groups;
    const i64 most_ids = std::max(ids_in_group, bags.longest());
    for (int member = 0; member < threads; ++member)
        groups.emplace_back(most_ids, bags_in_group, weights != nullptr, pooling == Pooling::max);
    parallel_blocks(bags.count, bags.bags_per_block(4 * ids_in_group), threads,
                    [&](i64 begin, i64 end, int member) {
                        for (i64 bag = begin; bag < end;) {
                            const i64 stop = group_end(bags, bag, end);
                            const BagRows<T> rows = groups[static_cast<std::size_t>(member)].resolve(
                                ids, rule, bags, bag, stop, pooling, weights);
                            if (pooling == Pooling::max)
                                kernel.max_rows(table, rows, out.row(bag), out.stride,
                                                winners != nullptr ? winners + bag * table.dim : nullptr);
                            else
                                kernel.pool_rows(table, rows, out.row(bag), out.stride);
                            bag = stop;
                        }
                    });
    return std::nullopt;
}

template std::optional<BadId> gather_bag(Rows<const float>, const Ids&, const IdRule&, const Bags&, Pooling,
                                         const float*, Rows<float>, Position<float>*);
template std::optional<BadId> gather_bag(Rows<const double>, const Ids&, const IdRule&, const Bags&, Pooling,
                                         const double*, Rows<double>, Position<double>*);

}  // namespace pyembed
