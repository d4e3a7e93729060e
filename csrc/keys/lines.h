// What an index of any kind of key is made of: parts of lines, and how keys come into them.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "base/buffer.h"
#include "keys/kernels.h"

namespace pyembed {

// Zeroed lines, on huge pages where these are many; no page more than they need.
class LineMemory {
  public:
    LineMemory() = default;
    explicit LineMemory(u64 count);  // throws std::bad_alloc
    ~LineMemory();
    LineMemory(LineMemory&& other) noexcept { swap(other); }
    LineMemory& operator=(LineMemory&& other) noexcept {
        swap(other);
        return *this;
    }

    Line* data() const { return data_; }
    u64 count() const { return count_; }
    std::size_t bytes() const { return count_ * sizeof(Line); }

  private:
    void swap(LineMemory& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(count_, other.count_);
    }
    Line* data_ = nullptr;
    u64 count_ = 0;
};

// The hashes of keys and their rows, which are numbered from 0. The parts grow one by one, each at another
// number of keys, so that no insertion pays for all, and 16 to 20 bytes a key are in use at any number of
// many.
class Lines {
  public:
    // Rows are of 32 bits, and the keys of one block of an insertion are counted above them meanwhile.
    static constexpr i64 block = 1 << 17;
    static constexpr i64 most_keys = (i64{1} << 32) - 2 * block;

    Lines();

    const Part* parts() const { return parts_.data(); }
    i64 size() const { return size_; }
    std::size_t bytes() const;

    // Up to `block` keys at once, by arrivals (n,) in order of position: rows (n,) of all, those of new keys
    // in the order of their first positions. insert(part's Insertion, arrivals, n) is one of the kernels.
    // Throws std::bad_alloc: the index is then as it was.
    template <class Insert>
    void insert(Buffer arrivals, i64 n, i64* rows, Insert insert);

    // Forgets all keys but those of the rows [0, size).
    void truncate(i64 size) noexcept;

    // f(hash, row) of each key, in no order
    template <class F>
    void for_each(F f) const {
        for (const Part& part : parts_)
            for (u64 l = 0; l < part.line_count; ++l)
                for (int slot = 0; slot < part.lines[l].count; ++slot)
                    f(part.lines[l].hashes[slot], part.lines[l].rows[slot]);
    }

  private:
    template <class Insert>
    void insert_into_part(int p, const Arrival* arrivals, i64 n, u32* rows, u32** cells, Insert insert);
    void grow(int p, u32** cells);
    i64 number_rows(const u32* found, u32** cells, i64 n, i64* rows);

    std::array<Part, part_count> parts_;
    std::array<LineMemory, part_count> memory_;
    std::array<i64, part_count> keys_ = {};
    i64 size_ = 0;
};

// The integers and texts have their own: Lines knows neither.
struct IntegersIn {
    i64 operator()(Insertion& into, const Arrival* arrivals, i64 n) const;
};
struct TextsIn {
    const Texts& known;
    const Texts& texts;
    i64 operator()(Insertion& into, const Arrival* arrivals, i64 n) const;
};

extern template void Lines::insert(Buffer, i64, i64*, IntegersIn);
extern template void Lines::insert(Buffer, i64, i64*, TextsIn);

}  // namespace pyembed
