#include "plan.h"

#include <algorithm>
#include <stdexcept>

#include "collect.h"
#include "radix_sort.h"

namespace pyembed {
namespace {

// How many bits the numbers 0 … largest need.
int bit_width(u64 largest) {
    int bits = 0;
    for (; largest > 0; largest >>= 1) ++bits;
    return bits;
}

}  // namespace

template <class T>
std::optional<BadContribution> Plan<T>::collect(const std::vector<Contribution<T>>& contributions,
                                                const IdRule& rule, const RowSet& frozen) {
    i64 sources = 0;
    bool any_coefficients = false;
    bool any_winners = false;
    bool by_id = false;
    for (const auto& contribution : contributions) {
        count_ += contribution.ids.count;
        sources += contribution.sources();
        any_coefficients = any_coefficients || contribution.has_coefficients();
        any_winners = any_winners || contribution.winners != nullptr;
        by_id = by_id || contribution.is_by_id();
        dim_ = contribution.gradient.dim;
    }
    source_bits_ = bit_width(static_cast<u64>(std::max<i64>(sources - 1, 0)));
    Reading reading{rule, frozen, 0, source_bits_};
    row_bits_ = reading.row_bits = bit_width(reading.fixed());
    if (row_bits_ + source_bits_ > 64)
        throw std::length_error("too many ids in one step for a table of this many rows: split the batch");

    items_ = Buffer::of<u64>(count_);
    const bool one = contributions.size() == 1 && !by_id;
    if (!one) rows_ = Buffer::of<const T*>(sources);
    if (any_coefficients) coefs_ = Buffer::of<T>(sources);
    if (any_winners) {
        winners_ = Buffer::of<const Position<T>*>(sources);
        positions_ = Buffer::of<Position<T>>(sources);
        everywhere_ = Buffer::of<Position<T>>(dim_);
        std::fill_n(everywhere_.template as<Position<T>>(), dim_, Position<T>{0});
    }

    Collected<T> to{items_.template as<u64>(),
                    0,
                    coefs_.template as<T>(),
                    rows_.template as<const T*>(),
                    winners_.template as<const Position<T>*>(),
                    positions_.template as<Position<T>>()};
    const auto shift = [](auto*& pointer, i64 by) {
        if (pointer != nullptr) pointer += by;
    };
    for (std::size_t c = 0; c < contributions.size(); ++c) {
        const auto everywhere = everywhere_.template as<Position<T>>();
        if (const auto bad = pyembed::collect(contributions[c], reading, everywhere, to))
            return BadContribution{c, *bad};
        const i64 taken = contributions[c].sources();
        to.items += contributions[c].ids.count;
        to.first_source += taken;
        shift(to.coefs, taken);
        shift(to.rows, taken);
        shift(to.winners, taken);
        shift(to.positions, taken);
    }
    u64* const items = items_.template as<u64>();
    const auto has_none = [&](u64 item) { return !reading.has_gradient(item); };
    count_ = std::remove_if(items, items + count_, has_none) - items;

    const Rows<const T> first = contributions.empty() ? Rows<const T>{} : contributions[0].gradient;
    sources_ = {first.data,
                first.stride,
                rows_.template as<const T*>(),
                coefs_.template as<T>(),
                winners_.template as<const Position<T>*>(),
                positions_.template as<Position<T>>()};
    return std::nullopt;
}

template <class T>
void Plan<T>::sort() {
    Buffer spare = Buffer::of<u64>(count_);
    const int shift = source_bits_;
    const u64* const sorted = radix_sort(items_.template as<u64>(), spare.template as<u64>(), count_,
                                         row_bits_, [shift](u64 item) { return item >> shift; });
    if (sorted == spare.template as<u64>()) items_ = std::move(spare);
}

template class Plan<float>;
template class Plan<double>;

}  // namespace pyembed
