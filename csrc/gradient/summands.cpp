#include "gradient/summands.h"

#include <algorithm>
#include <stdexcept>

#include "base/radix_sort.h"
#include "gradient/collect.h"

namespace pyembed {
namespace {

template <class T>
void advance(T*& pointer, i64 by) {
    if (pointer != nullptr) pointer += by;
}

}  // namespace

template <class T>
i64 Summands<T>::reserve(const std::vector<BackwardCall<T>>& calls) {
    i64 sources = 0;
    bool any_coefficients = false;
    bool any_winners = false;
    bool scattered = false;
    for (const auto& call : calls) {
        count_ += call.ids.count;
        sources += call.sources();
        any_coefficients = any_coefficients || call.has_coefficients();
        any_winners = any_winners || call.winners != nullptr;
        scattered = scattered || call.is_by_id() || call.places != nullptr;
        dim_ = call.gradient.dim;
    }
    if (!calls.empty()) base_ = calls[0].gradient;
    pairs_ = Buffer::of<u64>(count_);
    if (calls.size() != 1 || scattered) sources_ = Buffer::of<const T*>(sources);
    if (any_coefficients) coefs_ = Buffer::of<T>(sources);
    if (any_winners) {
        winners_ = Buffer::of<const Position<T>*>(sources);
        positions_ = Buffer::of<Position<T>>(sources);
        everywhere_ = Buffer::of<Position<T>>(dim_);
        std::fill_n(everywhere_.template as<Position<T>>(), dim_, Position<T>{0});
    }
    return sources;
}

template <class T>
std::optional<BadCall> Summands<T>::collect(const std::vector<BackwardCall<T>>& calls, const IdPolicy& policy,
                                            const RowSet& frozen, const Owners* owners) {
    const i64 sources = reserve(calls);
    source_bits_ = bit_width(static_cast<u64>(std::max<i64>(sources - 1, 0)));
    Reading reading{policy, owners != nullptr ? *owners : Owners(policy.rows), frozen, 0, source_bits_};
    row_bits_ = reading.row_bits = bit_width(reading.fixed());
    if (row_bits_ + source_bits_ > 64)
        throw std::length_error("too many ids in one step for a table of this many rows: split the batch");

    u64* const pairs = pairs_.as<u64>();
    CallSummands<T> to{pairs,
                       0,
                       coefs_.template as<T>(),
                       sources_.template as<const T*>(),
                       winners_.template as<const Position<T>*>(),
                       positions_.template as<Position<T>>()};
    for (std::size_t c = 0; c < calls.size(); ++c) {
        const auto* const everywhere = everywhere_.template as<Position<T>>();
        if (const auto bad = collect_call(calls[c], reading, everywhere, to)) return BadCall{c, *bad};
        const i64 taken = calls[c].sources();
        to.pairs += calls[c].ids.count;
        to.first_source += taken;
        advance(to.coefs, taken);
        advance(to.sources, taken);
        advance(to.winners, taken);
        advance(to.positions, taken);
    }
    const auto has_none = [&](u64 pair) { return !reading.has_gradient(pair); };
    count_ = std::remove_if(pairs, pairs + count_, has_none) - pairs;
    return std::nullopt;
}

template <class T>
void Summands<T>::take(const BackwardCall<T>& call, const Partition& ids, const Owners& owners, i64 padding) {
    reserve({call});
    source_bits_ = ids.position_bits();
    const u64 nowhere = padding == no_row ? owners.end() : owners.place_of(padding);
    const u64* const pairs = ids.pairs();
    u64* const end = std::copy_if(pairs, pairs + ids.pair_count(), pairs_.as<u64>(),
                                  [&](u64 pair) { return pair >> ids.position_bits() != nowhere; });
    count_ = end - pairs_.as<u64>();
    is_sorted_ = true;
}

template <class T>
void Summands<T>::sort() {
    if (!is_sorted_) sort_above(source_bits_);
}

template <class T>
void Summands<T>::sort_by_owner(const Owners& owners) {
    sort_above(source_bits_ + owners.local_bits());
}

template <class T>
void Summands<T>::sort_above(int shift) {
    Buffer spare = Buffer::of<u64>(count_);
    const int bits = source_bits_ + row_bits_ - shift;
    const u64* const sorted = radix_sort(pairs_.as<u64>(), spare.as<u64>(), count_, bits,
                                         [shift](u64 pair) { return pair >> shift; });
    if (sorted == spare.as<u64>()) pairs_ = std::move(spare);
}

#define PYEMBED_SUMMANDS(T) template class Summands<T>;
PYEMBED_FOR_ARITHMETIC(PYEMBED_SUMMANDS)

}  // namespace pyembed
