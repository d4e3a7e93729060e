#include "keys/integer_index.h"

#include <algorithm>
#include <atomic>
#include <new>

#include "base/kernel.h"
#include "base/threads.h"
#include "keys/hash.h"

namespace pyembed {
namespace {

constexpr i64 piece = 2048;

// Bits of the keys [begin, end), widened as their type says.
void load(const Ids& keys, i64 begin, i64 end, u64* out) {
    if (keys.type == IdType::int32) {
        const auto* const data = static_cast<const std::int32_t*>(keys.data);
        for (i64 i = begin; i < end; ++i) out[i - begin] = static_cast<u64>(static_cast<i64>(data[i]));
        return;
    }
    std::copy_n(static_cast<const u64*>(keys.data) + begin, end - begin, out);
}

// Whether equal bits may be another value: above the signed integers, or below the unsigned ones.
bool may_be_unfit(const Ids& keys, bool is_unsigned) {
    return (keys.type == IdType::uint64) != is_unsigned;
}

bool is_unfit(u64 bits) {
    return bits >> 63 != 0;
}

}  // namespace

void IntegerIndex::find(const Ids& keys, i64* rows) const {
    const bool checks = may_be_unfit(keys, is_unsigned_);
    parallel_blocks(keys.count, piece, threads_for(128 * keys.count), [&](i64 begin, i64 end, int) {
        u64 bits[piece];
        u64 hashes[piece];
        load(keys, begin, end, bits);
        kernel<HashIntegers>()(bits, end - begin, hashes);
        kernel<FindIntegers>()(lines_.parts(), hashes, end - begin, rows + begin);
        if (!checks) return;
        for (i64 i = begin; i < end; ++i)
            if (is_unfit(bits[i - begin])) rows[i] = no_row;
    });
}

std::optional<BadId> IntegerIndex::find_unfit(const Ids& keys) const {
    if (!may_be_unfit(keys, is_unsigned_)) return std::nullopt;
    std::atomic<i64> first{keys.count};
    parallel_blocks(keys.count, piece, threads_for(8 * keys.count), [&](i64 begin, i64 end, int) {
        u64 bits[piece];
        load(keys, begin, end, bits);
        const auto* const found = std::find_if(bits, bits + (end - begin), is_unfit);
        if (found != bits + (end - begin)) lower_to(first, begin + (found - bits));
    });
    if (first == keys.count) return std::nullopt;
    u64 bits;
    load(keys, first, first + 1, &bits);
    return BadId{first, bits, keys.type == IdType::uint64};
}

void IntegerIndex::insert(const Ids& keys, i64* rows) {
    const i64 before = size();
    try {
        for (i64 begin = 0; begin < keys.count; begin += Lines::block) {
            const i64 n = std::min(Lines::block, keys.count - begin);
            Buffer arrivals = Buffer::of<Arrival>(n);
            Arrival* const made = arrivals.as<Arrival>();
            parallel_blocks(n, piece, threads_for(24 * n), [&](i64 from, i64 to, int) {
                u64 bits[piece];
                load(keys, begin + from, begin + to, bits);
                for (i64 i = from; i < to; ++i)
                    made[i] = {hash_of_integer(bits[i - from]), static_cast<u32>(i)};
            });
            lines_.insert(std::move(arrivals), n, rows + begin, IntegersIn());
        }
    } catch (const std::bad_alloc&) {
        lines_.truncate(before);
        throw;
    }
}

void IntegerIndex::keys(u64* out, i64 count) const {
    lines_.for_each([&](u64 hash, u32 row) {
        if (row < count) out[row] = integer_of_hash(hash);
    });
}

}  // namespace pyembed
