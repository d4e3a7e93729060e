// Stable parallel least-significant-digit radix sort: the same order at any number of threads.
#pragma once

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/buffer.h"
#include "base/threads.h"

namespace pyembed {

namespace radix {

constexpr int most_digit_bits = 11;  // 2048 counters: 16 KiB, half of a small L1 cache

// Few items do not pay for clearing many counters.
inline int digit_bits(i64 n, int key_bits) {
    const int most = n < 4096 ? 8 : most_digit_bits;
    const int passes = (key_bits + most - 1) / most;
    return (key_bits + passes - 1) / passes;
}

template <class Item, class Key>
void insertion_sort(Item* items, i64 n, Key key) {
    for (i64 i = 1; i < n; ++i) {
        const Item item = items[i];
        i64 at = i;
        for (; at > 0 && key(items[at - 1]) > key(item); --at) items[at] = items[at - 1];
        items[at] = item;
    }
}

// counts (members, radix): turns this member's counts into the places where its items of each digit start.
inline void starts_from_counts(const i64* counts, i64* starts, i64 radix, int member, int members) {
    i64 total = 0;
    for (i64 digit = 0; digit < radix; ++digit) {
        i64 before = 0;
        i64 all = 0;
        for (int other = 0; other < members; ++other) {
            const i64 count = counts[other * radix + digit];
            before += other < member ? count : 0;
            all += count;
        }
        starts[digit] = total + before;
        total += all;
    }
}

}  // namespace radix

// Sorts items (n,) by the low `key_bits` bits of key(item), using spare (n,). Returns whichever of the two
// arrays holds the result.
template <class Item, class Key>
Item* radix_sort(Item* items, Item* spare, i64 n, int key_bits, Key key) {
    if (n <= 32) {
        radix::insertion_sort(items, n, key);
        return items;
    }
    if (key_bits == 0) return items;
    const int bits = radix::digit_bits(n, key_bits);
    const i64 radix = i64{1} << bits;
    const int passes = (key_bits + bits - 1) / bits;
    const int threads = threads_for(2 * passes * n * static_cast<i64>(sizeof(Item)));
    const Buffer tables = Buffer::of<i64>(2 * threads * radix);
    i64* const counts = tables.as<i64>();

    parallel(threads, [&](int member, int members, auto barrier) {
        Item* from = items;
        Item* to = spare;
        const i64 begin = n * member / members;
        const i64 end = n * (member + 1) / members;
        i64* const own = counts + member * radix;
        i64* const starts = counts + (threads + member) * radix;
        for (int shift = 0; shift < key_bits; shift += bits) {
            const auto digit = [&](const Item& item) {
                return static_cast<i64>(key(item) >> shift) & (radix - 1);
            };
            std::memset(own, 0, static_cast<std::size_t>(radix) * sizeof(i64));
            for (i64 i = begin; i < end; ++i) ++own[digit(from[i])];
            barrier();
            radix::starts_from_counts(counts, starts, radix, member, members);
            for (i64 i = begin; i < end; ++i) to[starts[digit(from[i])]++] = from[i];
            barrier();
            std::swap(from, to);
        }
    });
    return passes % 2 == 0 ? items : spare;
}

}  // namespace pyembed
