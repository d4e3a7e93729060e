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
std::optional<BadId> gather_bag(const Readable<T>& readable, const Ids& ids, const IdRule& rule,
                                const Bags& bags, Pooling pooling, const T* weights, Rows<T> out,
                                Position<T>* winners) {
    if (const auto bad = find_bad_id(ids, rule)) return bad;
    const Kernels<T>& kernel = kernels<T>();
    const i64 dim = readable.table.dim;
    const i64 row_bytes = dim * static_cast<i64>(sizeof(T));
    const int threads = threads_for(ids.count * row_bytes);
    std::vector<Group<T>> groups;
    std::vector<SettledRows<T>> readers;
    const i64 most_ids = std::max(ids_in_group, bags.longest());
    for (int member = 0; member < threads; ++member) {
        groups.emplace_back(most_ids, bags_in_group, weights != nullptr, pooling == Pooling::max);
        readers.emplace_back(readable, most_ids);
    }
    const auto pool_group = [&](i64 begin, i64 end, std::size_t member) {
        BagRows<T> rows = groups[member].resolve(ids, rule, bags, begin, end, pooling, weights);
        SettledRows<T>& reader = readers[member];
        reader.fetch(rows.rows, rows.ends[rows.bags - 1]);
        rows.rows = reader.rows();
        T* const to = out.row(begin);
        if (pooling == Pooling::max)
            kernel.max_rows(reader.table(), rows, to, out.stride,
                            winners != nullptr ? winners + begin * dim : nullptr);
        else
            kernel.pool_rows(reader.table(), rows, to, out.stride);
    };
    parallel_blocks(bags.count, bags.bags_per_block(4 * ids_in_group), threads,
                    [&](i64 begin, i64 end, int member) {
                        for (i64 bag = begin; bag < end;) {
                            const i64 stop = group_end(bags, bag, end);
                            pool_group(bag, stop, static_cast<std::size_t>(member));
                            bag = stop;
                        }
                    });
    return std::nullopt;
}

template std::optional<BadId> gather_bag(const Readable<float>&, const Ids&, const IdRule&, const Bags&,
                                         Pooling, const float*, Rows<float>, Position<float>*);
template std::optional<BadId> gather_bag(const Readable<double>&, const Ids&, const IdRule&, const Bags&,
                                         Pooling, const double*, Rows<double>, Position<double>*);

}  // namespace pyembed
