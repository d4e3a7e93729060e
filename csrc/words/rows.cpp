#include "words/rows.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <limits>
#include <new>

#include "base/memory.h"

namespace pyembed {

GrowingRows::~GrowingRows() {
    if (data_ != nullptr) unmap_pages(data_, static_cast<std::size_t>(capacity_ * row_bytes_));
}

void GrowingRows::move_to(i64 capacity) {
    if (capacity > std::numeric_limits<i64>::max() / 4 / std::max<i64>(row_bytes_, 1)) throw std::bad_alloc();
    const std::size_t bytes = static_cast<std::size_t>(capacity * row_bytes_);
    void* const larger = map_pages(bytes, false);
    if (data_ != nullptr) {
        std::memcpy(larger, data_, static_cast<std::size_t>(count_ * row_bytes_));
        unmap_pages(data_, static_cast<std::size_t>(capacity_ * row_bytes_));
    }
    data_ = larger;
    capacity_ = capacity;
}

void GrowingRows::add(i64 more, i64 expected) {
    const i64 needed = count_ + more;
    if (data_ == nullptr || needed > capacity_)
        move_to(std::max({needed, expected, count_ + count_ / 2, i64{1}}));
    count_ = needed;
}

void GrowingRows::filter(const std::vector<bool>& keep) {
    i64 to = 0;
    for (i64 r = 0; r < count_; ++r) {
        if (!keep[static_cast<std::size_t>(r)]) continue;
        if (to < r) std::memcpy(row(to), row(r), static_cast<std::size_t>(row_bytes_));
        ++to;
    }
    count_ = to;
}

i64 LinesOfRows::of(i64 row) const {
    const auto after = std::upper_bound(starts_.begin(), starts_.end(), row,
                                        [](i64 r, const Start& start) { return r < start.row; });
    const Start& start = *std::prev(after);
    return start.line + (row - start.row);
}

void ReadWords::keep(const std::vector<bool>& kept) {
    ReadWords some;
    const Texts all = texts();
    for (i64 t = 0; t < all.count; ++t) {
        if (!kept[static_cast<std::size_t>(t)]) continue;
        some.bytes.insert(some.bytes.end(), all.begin(t), all.begin(t) + all.length(t));
        some.add_word(lines.of(t));
    }
    *this = std::move(some);
}

}  // namespace pyembed
