#include "plan.h"

#include <algorithm>
#include <stdexcept>

#include "radix_sort.h"
#include "threads.h"

namespace pyembed {
namespace {

// How many bits the numbers 0 … largest need.
int bit_width(u64 largest) {
    int bits = 0;
    for (; largest > 0; largest >>= 1) ++bits;
    return bits;
}

// Packs (row, source) of every id in the bags [begin, end). Returns how many ids have no row.
template <class T>
i64 pack_pairs(const Contribution<T>& contribution, const IdRule& rule, i64 begin, i64 end, int source_bits,
               i64 first_source, u64* items) {
    constexpr i64 piece = 512;
    i64 rows[piece];
    const Bags& bags = contribution.bags;
    const bool by_bag = contribution.weights == nullptr;
    i64 without_row = 0;
    i64 bag = begin;
    for (i64 start = bags.begin(begin); start < bags.end(end - 1); start += piece) {
        const i64 stop = std::min(start + piece, bags.end(end - 1));
        resolve_ids(contribution.ids, rule, start, stop, rows);
        for (i64 i = start; i < stop; ++i) {
            while (i >= bags.end(bag)) ++bag;
            const i64 row = rows[i - start];
            without_row += row == no_row ? 1 : 0;
            items[i] = static_cast<u64>(row == no_row ? rule.rows : row) << source_bits |
                       static_cast<u64>(first_source + (by_bag ? bag : i));
        }
    }
    return without_row;
}

// The coefficients of one bag's sources: scale w / divisor, in double until the end.
template <class T, class Counts>
void bag_coefficients(const Contribution<T>& contribution, i64 bag, Counts counts, T* coefs) {
    const T* const weights = contribution.weights;
    const i64 begin = contribution.bags.begin(bag);
    const i64 end = contribution.bags.end(bag);
    Divisor divisor(contribution.pooling);
    for (i64 i = begin; i < end; ++i)
        if (counts(i)) divisor.add(weights != nullptr ? weights[i] : 1.0);
    const double factor = divisor.value() == 0.0 ? 0.0 : contribution.scale / divisor.value();
    if (weights == nullptr) {
        coefs[bag] = static_cast<T>(factor);
        return;
    }
    for (i64 i = begin; i < end; ++i) coefs[i] = static_cast<T>(weights[i] * factor);
}

// rows (sources,): where the row of each source lies.
template <class T>
void point_at_sources(const Contribution<T>& contribution, const T** rows) {
    const bool by_bag = contribution.weights == nullptr;
    for (i64 bag = 0, source = 0; bag < contribution.bags.count; ++bag) {
        const i64 stop = by_bag ? bag + 1 : contribution.bags.end(bag);
        for (; source < stop; ++source) rows[source] = contribution.gradient.row(bag);
    }
}

}  // namespace

template <class T>
std::optional<BadContribution> Plan<T>::collect(const std::vector<Contribution<T>>& contributions,
                                                const IdRule& rule) {
    i64 sources = 0;
    bool any_coefficients = false;
    for (const auto& contribution : contributions) {
        count_ += contribution.ids.count;
        sources += contribution.sources();
        any_coefficients = any_coefficients || contribution.has_coefficients();
        dim_ = contribution.gradient.dim;
    }
    // Ids that count for nothing get the row past the last, to be taken out in the end.
    row_bits_ = bit_width(static_cast<u64>(rule.rows));
    source_bits_ = bit_width(static_cast<u64>(std::max<i64>(sources - 1, 0)));
    if (row_bits_ + source_bits_ > 64)
        throw std::length_error("too many ids in one step for a table of this many rows: split the batch");

    items_ = Buffer::of<u64>(count_);
    if (any_coefficients) coefs_ = Buffer::of<T>(sources);
    const bool one = contributions.size() == 1 && contributions[0].weights == nullptr;
    if (!one) pointers_ = Buffer::of<const T*>(sources);

    std::atomic<i64> dropped{0};
    i64 position = 0;
    i64 first_source = 0;
    for (std::size_t c = 0; c < contributions.size(); ++c) {
        const Contribution<T>& contribution = contributions[c];
        u64* const items = items_.template as<u64>() + position;
        T* const coefs = any_coefficients ? coefs_.template as<T>() + first_source : nullptr;
        if (const auto bad = collect(contribution, rule, items, first_source, coefs, dropped))
            return BadContribution{c, *bad};
        if (!one) point_at_sources(contribution, pointers_.template as<const T*>() + first_source);
        position += contribution.ids.count;
        first_source += contribution.sources();
    }
    if (dropped > 0) {
        u64* const items = items_.template as<u64>();
        const u64 nowhere = static_cast<u64>(rule.rows);
        count_ =
            std::remove_if(items, items + count_, [&](u64 item) { return item >> source_bits_ == nowhere; }) -
            items;
    }
    const Rows<const T> first = contributions.empty() ? Rows<const T>{} : contributions[0].gradient;
    sources_ = {first.data, first.stride, one ? nullptr : pointers_.template as<const T*>(),
                any_coefficients ? coefs_.template as<T>() : nullptr};
    return std::nullopt;
}

template <class T>
std::optional<BadId> Plan<T>::collect(const Contribution<T>& contribution, const IdRule& rule, u64* items,
                                      i64 first_source, T* coefs, std::atomic<i64>& dropped) const {
    const Bags& bags = contribution.bags;
    const u64 nowhere = static_cast<u64>(rule.rows);
    std::atomic<i64> first_bad{contribution.ids.count};
    const int threads = threads_for(contribution.ids.count * 16);
    parallel_blocks(bags.count, bags.bags_per_block(8192), threads, [&](i64 begin, i64 end, int) {
        if (const auto bad = find_bad_id(contribution.ids, rule, bags.begin(begin), bags.end(end - 1)))
            lower_to(first_bad, bad->position);
        dropped += pack_pairs(contribution, rule, begin, end, source_bits_, first_source, items);
        if (coefs != nullptr)
            for (i64 bag = begin; bag < end; ++bag)
                bag_coefficients(
                    contribution, bag, [&](i64 i) { return items[i] >> source_bits_ != nowhere; }, coefs);
    });
    if (first_bad == contribution.ids.count) return std::nullopt;
    return find_bad_id(contribution.ids, rule, first_bad, first_bad + 1);
}

template <class T>
void Plan<T>::sort() {
    Buffer spare = Buffer::of<u64>(count_);
    const int shift = source_bits_;
    const u64* const sorted = radix_sort(items_.template as<u64>(), spare.template as<u64>(), count_,
                                         row_bits_, [shift](u64 item) { return item >> shift; });
    if (sorted == spare.template as<u64>()) items_ = std::move(spare);
}

template <class T>
SortedPlan<T>::SortedPlan(Plan<T> plan) : plan_(std::move(plan)) {
    plan_.sort();
    segments_ = {plan_.pairs(), plan_.sources(), plan_.dim(), nullptr, 0, nullptr};
    find_long_segments();
    sum_chunks();
    // Beside its sources, a row of the table and perhaps of optimizer state is read and written.
    threads_ = threads_for(4 * pairs().count * dim() * static_cast<i64>(sizeof(T)));
    scratch_stride_ = (dim() + 63) / 64 * 64;
    scratch_ = Buffer::of<T>(threads_ * scratch_stride_);
}

// A segment longer than a chunk covers a multiple of the chunk's length, and from there at least half a chunk
// to one of the sides: only few places need a closer look.
template <class T>
void SortedPlan<T>::find_long_segments() {
    const Pairs& pairs = segments_.pairs;
    constexpr i64 half = chunk_length / 2;
    i64 chunks = 0;
    i64 found_to = 0;
    for (i64 at = 0; at < pairs.count; at += chunk_length) {
        const i64 row = pairs.row(at);
        const bool goes_left = at >= half && pairs.row(at - half) == row;
        const bool goes_right = at + half < pairs.count && pairs.row(at + half) == row;
        if (at < found_to || !(goes_left || goes_right)) continue;
        const auto first_of = [&](i64 wanted) {
            const u64* const stop = pairs.items + pairs.count;
            return std::lower_bound(pairs.items, stop, static_cast<u64>(wanted) << pairs.source_bits) -
                   pairs.items;
        };
        const LongSegment segment{first_of(row), first_of(row + 1), chunks};
        if (segment.end - segment.begin <= chunk_length) continue;
        long_segments_.push_back(segment);
        chunks += (segment.end - segment.begin + chunk_length - 1) / chunk_length;
        found_to = segment.end;
    }
    chunk_sums_ = Buffer::of<T>(chunks * segments_.dim);
    segments_.long_segments = long_segments_.data();
    segments_.long_count = static_cast<i64>(long_segments_.size());
    segments_.chunk_sums = chunk_sums_.template as<T>();
}

template <class T>
void SortedPlan<T>::sum_chunks() {
    struct Chunk {
        i64 begin;
        i64 end;
    };
    std::vector<Chunk> chunks;
    for (const LongSegment& segment : long_segments_)
        for (i64 begin = segment.begin; begin < segment.end; begin += chunk_length)
            chunks.push_back({begin, std::min(begin + chunk_length, segment.end)});
    const i64 dim = segments_.dim;
    const i64 count = static_cast<i64>(chunks.size());
    const int threads = threads_for(count * chunk_length * dim * static_cast<i64>(sizeof(T)));
    parallel_blocks(count, 1, threads, [&](i64 begin, i64, int) {
        const Chunk chunk = chunks[static_cast<std::size_t>(begin)];
        kernels<T>().sum_sources(segments_.pairs, segments_.sources, chunk.begin, chunk.end, dim,
                                 chunk_sums_.template as<T>() + begin * dim);
    });
}

template class Plan<float>;
template class Plan<double>;
template class SortedPlan<float>;
template class SortedPlan<double>;

}  // namespace pyembed
