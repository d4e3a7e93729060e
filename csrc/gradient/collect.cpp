#include "gradient/collect.h"

#include <algorithm>
#include <atomic>

#include "base/buffer.h"
#include "base/radix_sort.h"
#include "base/threads.h"

namespace pyembed {
namespace {

// positions: which columns each source counts in, and -1 for one that won none.
template <class T>
void mark_winners(const BackwardCall<T>& call, i64 bag, const Position<T>* everywhere,
                  const CallSummands<T>& to) {
    const Bags& bags = call.bags;
    const bool by_id = call.is_by_id();
    const i64 first = by_id ? bags.begin(bag) : bag;
    const i64 last = by_id ? bags.end(bag) : bag + 1;
    if (call.winners == nullptr) {
        std::fill(to.winners + first, to.winners + last, everywhere);
        std::fill(to.positions + first, to.positions + last, Position<T>{0});
        return;
    }
    const i64 dim = call.gradient.dim;
    const Position<T>* const winners = call.winners + bag * dim;
    std::fill(to.winners + first, to.winners + last, winners);
    std::fill(to.positions + first, to.positions + last, Position<T>{-1});
    for (i64 column = 0; column < dim; ++column)
        if (winners[column] >= 0) to.positions[first + winners[column]] = winners[column];
}

// Packs (row, source) of every id in the bags [begin, end).
template <class T>
void pack_pairs(const BackwardCall<T>& call, const Reading& reading, i64 begin, i64 end,
                const CallSummands<T>& to) {
    constexpr i64 piece = 512;
    i64 rows[piece];
    const Bags& bags = call.bags;
    const bool by_id = call.is_by_id();
    i64 bag = begin;
    for (i64 start = bags.begin(begin); start < bags.end(end - 1); start += piece) {
        const i64 stop = std::min(start + piece, bags.end(end - 1));
        resolve_ids(call.ids, reading.policy, start, stop, rows);
        call.dropout.drop(rows, stop - start);
        for (i64 i = start; i < stop; ++i) {
            while (i >= bags.end(bag)) ++bag;
            const i64 row = rows[i - start];
            u64 place = 0;
            if (row == no_row || (call.winners != nullptr && to.positions[i] < 0))
                place = reading.nowhere();
            else if (reading.frozen.contains(row))
                place = reading.fixed();
            else
                place = reading.owners.place_of(row);
            to.pairs[i] =
                place << reading.source_bits | static_cast<u64>(to.first_source + (by_id ? i : bag));
        }
    }
}

// counts (ids,): how often the row of each id stands among the ids.
Buffer count_rows(const u64* pairs, i64 count, i64 first_source, const Reading& reading) {
    Buffer counts = Buffer::of<i64>(count);
    const Buffer copy = Buffer::of<u64>(count);
    const Buffer spare = Buffer::of<u64>(count);
    std::copy_n(pairs, count, copy.as<u64>());
    const u64* const sorted = radix_sort(copy.as<u64>(), spare.as<u64>(), count, reading.row_bits,
                                         [&](u64 pair) { return reading.row(pair); });
    const u64 source_mask = (u64{1} << reading.source_bits) - 1;
    for (i64 begin = 0, end = 0; begin < count; begin = end) {
        while (end < count && reading.row(sorted[end]) == reading.row(sorted[begin])) ++end;
        for (i64 i = begin; i < end; ++i)
            counts.as<i64>()[static_cast<i64>(sorted[i] & source_mask) - first_source] = end - begin;
    }
    return counts;
}

// The coefficients of one bag's sources, scale w / (divisor frequency), in double until the end.
template <class T>
void bag_coefficients(const BackwardCall<T>& call, const Reading& reading, i64 bag, const i64* frequencies,
                      const CallSummands<T>& to) {
    const T* const weights = call.weights;
    const i64 begin = call.bags.begin(bag);
    const i64 end = call.bags.end(bag);
    Divisor divisor(call.pooling);
    for (i64 i = begin; i < end; ++i)
        if (reading.row(to.pairs[i]) != reading.nowhere()) divisor.add(weights != nullptr ? weights[i] : 1.0);
    const double factor = divisor.value() == 0.0 ? 0.0 : call.scale / divisor.value();
    if (!call.is_by_id()) {
        to.coefs[bag] = static_cast<T>(factor);
        return;
    }
    for (i64 i = begin; i < end; ++i) {
        const double coefficient = weights != nullptr ? weights[i] * factor : factor;
        to.coefs[i] = static_cast<T>(
            frequencies != nullptr ? coefficient / static_cast<double>(frequencies[i]) : coefficient);
    }
}

// sources (sources,): where the row of each source lies.
template <class T>
void point_at_sources(const BackwardCall<T>& call, i64 bag, const CallSummands<T>& to) {
    const bool by_id = call.is_by_id();
    const i64 first = by_id ? call.bags.begin(bag) : bag;
    const i64 last = by_id ? call.bags.end(bag) : bag + 1;
    std::fill(to.sources + first, to.sources + last, call.row(bag));
}

}  // namespace

template <class T>
std::optional<BadId> collect_call(const BackwardCall<T>& call, const Reading& reading,
                                  const Position<T>* everywhere, const CallSummands<T>& to) {
    if (call.ids.count == 0) return std::nullopt;
    const Bags& bags = call.bags;
    const i64 count = call.ids.count;
    const i64 block = bags.bags_per_block(8192);
    const int threads = threads_for(count * 16);
    std::atomic<i64> first_bad{count};
    parallel_blocks(bags.count, block, threads, [&](i64 begin, i64 end, int) {
        if (const auto bad = find_bad_id(call.ids, reading.policy, bags.begin(begin), bags.end(end - 1)))
            lower_to(first_bad, bad->position);
        for (i64 bag = begin; bag < end; ++bag) {
            if (to.sources != nullptr) point_at_sources(call, bag, to);
            if (to.winners != nullptr) mark_winners(call, bag, everywhere, to);
        }
        pack_pairs(call, reading, begin, end, to);
    });
    if (first_bad != count) return find_bad_id(call.ids, reading.policy, first_bad, first_bad + 1);
    if (to.coefs != nullptr) {
        const Buffer frequencies =
            call.by_frequency ? count_rows(to.pairs, count, to.first_source, reading) : Buffer();
        parallel_blocks(bags.count, block, threads, [&](i64 begin, i64 end, int) {
            for (i64 bag = begin; bag < end; ++bag)
                bag_coefficients(call, reading, bag, frequencies.as<i64>(), to);
        });
    }
    return std::nullopt;
}

#define PYEMBED_COLLECT(T)                                                                                 \
    template std::optional<BadId> collect_call(const BackwardCall<T>&, const Reading&, const Position<T>*, \
                                               const CallSummands<T>&);
PYEMBED_FOR_ARITHMETIC(PYEMBED_COLLECT)

}  // namespace pyembed
