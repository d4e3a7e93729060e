#include "keys/partition.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "base/radix_sort.h"

namespace pyembed {

Partition::Partition(i64* rows, i64 n, const Owners& owners)
    : owners_(owners), position_bits_(bit_width(static_cast<u64>(std::max<i64>(n - 1, 0)))) {
    const int place_bits = bit_width(owners.end() - 1);
    if (place_bits + position_bits_ > 64)
        throw std::length_error("too many ids at once for a table of this many rows: split the batch");
    pairs_ = Buffer::of<u64>(n);
    Buffer spare = Buffer::of<u64>(n);
    for (i64 i = 0; i < n; ++i) {
        if (rows[i] == no_row) continue;
        pairs_.as<u64>()[n_++] = owners.place_of(rows[i]) << position_bits_ | static_cast<u64>(i);
    }
    const int shift = position_bits_;
    sorted_ = radix_sort(pairs_.as<u64>(), spare.as<u64>(), n_, place_bits,
                         [shift](u64 pair) { return pair >> shift; });
    if (sorted_ == spare.as<u64>()) pairs_ = std::move(spare);
    const u64 position_mask = (u64{1} << position_bits_) - 1;
    for (i64 i = 0; i < n_; ++i) {
        count_ += starts(i) ? 1 : 0;
        rows[sorted_[i] & position_mask] = count_ - 1;
    }
}

void Partition::write(i64* local_rows, i64* counts) const {
    std::fill_n(counts, owners_.ranks(), i64{0});
    i64 distinct = 0;
    for (i64 i = 0; i < n_; ++i) {
        if (!starts(i)) continue;
        local_rows[distinct++] = owners_.local_row(place(i));
        ++counts[owners_.owner_of_place(place(i))];
    }
}

}  // namespace pyembed
