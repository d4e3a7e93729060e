#include "keys/ids.h"

#include <algorithm>
#include <atomic>
#include <limits>

#include "base/threads.h"

namespace pyembed {
namespace {

template <class F>
auto with_type(const Ids& ids, F f) {
    switch (ids.type) {
        case IdType::int32:
            return f(static_cast<const std::int32_t*>(ids.data));
        case IdType::uint64:
            return f(static_cast<const u64*>(ids.data));
        default:
            return f(static_cast<const i64*>(ids.data));
    }
}

// Widened to 64 bits, an id lies outside [0, rows) exactly when it, or rows - 1 - id, has its top bit set:
// two cheap operations that any instruction set vectorises.
PYEMBED_INLINE u64 outside_bit(u64 id, u64 last) {
    return id | (last - id);
}

PYEMBED_INLINE bool is_outside(u64 id, u64 rows) {
    return id >= rows;
}

template <class Id>
i64 first_outside(const Id* ids, u64 rows, i64 begin, i64 end) {
    constexpr i64 block = 1024;
    for (i64 start = begin; start < end; start += block) {
        const i64 stop = std::min(start + block, end);
        u64 seen = 0;
        for (i64 i = start; i < stop; ++i) seen |= outside_bit(static_cast<u64>(ids[i]), rows - 1);
        if (seen >> 63 == 0) continue;
        for (i64 i = start; i < stop; ++i)
            if (is_outside(static_cast<u64>(ids[i]), rows)) return i;
    }
    return end;
}

template <class Id, class Outside>
void resolve(const Id* ids, const IdPolicy& policy, i64 begin, i64 end, i64* out, Outside outside) {
    const u64 rows = static_cast<u64>(policy.rows);
    for (i64 i = begin; i < end; ++i) {
        const u64 id = static_cast<u64>(ids[i]);
        const i64 row = is_outside(id, rows) ? outside(ids[i]) : static_cast<i64>(id);
        out[i - begin] = row == policy.padding ? no_row : row;
    }
}

template <class Id>
void resolve(const Id* ids, const IdPolicy& policy, i64 begin, i64 end, i64* out) {
    const i64 rows = policy.rows;
    switch (policy.out_of_range) {
        case OutOfRange::clip:
            return resolve(ids, policy, begin, end, out, [rows](Id id) { return id < Id{0} ? 0 : rows - 1; });
        case OutOfRange::wrap:
            return resolve(ids, policy, begin, end, out, [rows](Id id) {
                if constexpr (std::numeric_limits<Id>::is_signed) {
                    const i64 rest = static_cast<i64>(id) % rows;
                    return rest < 0 ? rest + rows : rest;
                } else {
                    return static_cast<i64>(id % static_cast<u64>(rows));
                }
            });
        default:
            return resolve(ids, policy, begin, end, out, [](Id) { return no_row; });
    }
}

}  // namespace

std::optional<BadId> find_bad_id(const Ids& ids, const IdPolicy& policy, i64 begin, i64 end) {
    if (policy.out_of_range != OutOfRange::raise) return std::nullopt;
    return with_type(ids, [&](const auto* data) -> std::optional<BadId> {
        const i64 at = first_outside(data, static_cast<u64>(policy.rows), begin, end);
        if (at == end) return std::nullopt;
        return BadId{at, static_cast<u64>(data[at]), ids.type == IdType::uint64};
    });
}

std::optional<BadId> find_bad_id(const Ids& ids, const IdPolicy& policy) {
    if (policy.out_of_range != OutOfRange::raise) return std::nullopt;
    constexpr i64 block = 1 << 16;
    std::atomic<i64> first{ids.count};
    parallel_blocks(ids.count, block, threads_for(ids.count * 8), [&](i64 begin, i64 end, int) {
        if (const auto bad = find_bad_id(ids, policy, begin, end)) lower_to(first, bad->position);
    });
    if (first == ids.count) return std::nullopt;
    return find_bad_id(ids, policy, first, first + 1);
}

void resolve_ids(const Ids& ids, const IdPolicy& policy, i64 begin, i64 end, i64* rows) {
    with_type(ids, [&](const auto* data) { resolve(data, policy, begin, end, rows); });
}

}  // namespace pyembed
