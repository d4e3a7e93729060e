#include <algorithm>
#include <vector>

#include "base/kernel.h"
#include "base/threads.h"
#include "lookup/lookup.h"
#include "lookup/row_reader.h"

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

    BagRows<T> resolve(const Ids& ids, const IdPolicy& policy, const Bags& bags, i64 begin, i64 end,
                       Pooling pooling, const T* weights) {
        const i64 first = bags.begin(begin);
        const i64 count = bags.end(end - 1) - first;
        resolve_ids(ids, policy, first, first + count, rows_.as<i64>());
        // A sum that leaves nothing out needs no look at the single ids.
        const bool as_it_is = !divides(pooling) && !selects(pooling) && !has_no_row(rows_.as<i64>(), count);
        if (as_it_is) {
            for (i64 bag = begin; bag < end; ++bag) ends_.as<i64>()[bag - begin] = bags.end(bag) - first;
            if (weights != nullptr) weights += first;
        } else {
            compact(bags, begin, end, pooling, weights);
            if (weights != nullptr) weights = weights_.template as<T>();
        }
        return {rows_.as<i64>(),
                weights,
                selects(pooling) ? positions_.template as<Position<T>>() : nullptr,
                ends_.as<i64>(),
                divides(pooling) ? divisors_.template as<T>() : nullptr,
                end - begin};
    }

  private:
    static bool has_no_row(const i64* rows, i64 count) {
        i64 bits = 0;
        for (i64 i = 0; i < count; ++i) bits |= rows[i];
        return bits < 0;
    }

    // Takes out the ids without a row, and finds the divisors.
    void compact(const Bags& bags, i64 begin, i64 end, Pooling pooling, const T* weights) {
        i64* const rows = rows_.as<i64>();
        const i64 first = bags.begin(begin);
        i64 kept = 0;
        for (i64 bag = begin; bag < end; ++bag) {
            Divisor divisor(pooling);
            for (i64 i = bags.begin(bag); i < bags.end(bag); ++i) {
                if (rows[i - first] == no_row) continue;
                rows[kept] = rows[i - first];
                if (weights != nullptr) weights_.template as<T>()[kept] = weights[i];
                if (selects(pooling))
                    positions_.template as<Position<T>>()[kept] =
                        static_cast<Position<T>>(i - bags.begin(bag));
                divisor.add(weights != nullptr ? weights[i] : 1.0);
                ++kept;
            }
            ends_.as<i64>()[bag - begin] = kept;
            divisors_.template as<T>()[bag - begin] = static_cast<T>(divisor.value());
        }
    }

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

template <class E>
std::optional<BadId> gather_bag(const LiveRows<E>& live, const Ids& ids, const IdPolicy& policy,
                                const Bags& bags, Pooling pooling, const Compute<E>* weights,
                                Rows<Compute<E>> out, Position<Compute<E>>* winners) {
    using T = Compute<E>;
    if (const auto bad = find_bad_id(ids, policy)) return bad;
    const i64 dim = live.rows.dim;
    if (dim == 0) return std::nullopt;  // however many bags there are
    const i64 row_bytes = dim * static_cast<i64>(sizeof(T));
    const int threads = threads_for(ids.count * row_bytes);
    std::vector<Group<T>> groups;
    std::vector<RowReader<E>> readers;
    const i64 most_ids = std::max(ids_in_group, bags.longest());
    for (int member = 0; member < threads; ++member) {
        groups.emplace_back(most_ids, bags_in_group, weights != nullptr, selects(pooling));
        readers.emplace_back(live, most_ids);
    }
    const auto pool_group = [&](i64 begin, i64 end, std::size_t member) {
        BagRows<T> rows = groups[member].resolve(ids, policy, bags, begin, end, pooling, weights);
        RowReader<E>& reader = readers[member];
        reader.fetch(rows.rows, rows.ends[rows.bags - 1]);
        rows.rows = reader.rows();
        T* const to = out.row(begin);
        if (selects(pooling))
            kernel<MaxRows<E>>()(reader.table(), rows, to, out.stride,
                                 winners != nullptr ? winners + begin * dim : nullptr);
        else
            kernel<PoolRows<E>>()(reader.table(), rows, to, out.stride);
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

#define PYEMBED_GATHER_BAG(E)                                                                              \
    template std::optional<BadId> gather_bag(const LiveRows<E>&, const Ids&, const IdPolicy&, const Bags&, \
                                             Pooling, const Compute<E>*, Rows<Compute<E>>,                 \
                                             Position<Compute<E>>*);
PYEMBED_FOR_ELEMENTS(PYEMBED_GATHER_BAG)

}  // namespace pyembed
