#include "keys/lines.h"

#include <atomic>
#include <cmath>
#include <cstring>
#include <new>

#include "base/kernel.h"
#include "base/memory.h"
#include "base/radix_sort.h"
#include "base/threads.h"

namespace pyembed {
namespace {

// Of five keys that a line holds, four on average: with more, too many keys lie outside their home lines.
constexpr i64 most_in_line = 4;

// What an empty part has: a search ends there at once.
Line no_keys{};

i64 room_of(u64 lines) {
    return static_cast<i64>(lines) * most_in_line;
}

// The sizes that a part takes: each the square root of two times the one before, and spread evenly over such
// a step by the number of the part.
u64 next_line_count(int p, u64 lines) {
    const double step = std::log2(std::sqrt(2.0));
    const double first = step * p / part_count;
    const double level = lines == 0 ? 0.0 : (std::log2(static_cast<double>(lines)) - first) / step;
    u64 next = lines;
    for (double up = std::floor(level); next <= lines; ++up)
        next = static_cast<u64>(std::ceil(std::exp2(first + step * up)));
    return next;
}

// Puts an old part's keys into a larger one. Both are in the order of the hashes, so that memory is read and
// written from one end to the other.
void move_keys(const Part& from, const Part& to, u32 size, u32** cells) {
    for (u64 l = 0; l < from.line_count; ++l) {
        const Line& old = from.lines[l];
        for (int o = 0; o < old.count; ++o) {
            u64 at = to.home_of(old.hashes[o]);
            for (; to.lines[at].count == keys_in_line; at = to.after(at)) to.lines[at].overflowed = 1;
            Line& line = to.lines[at];
            const int slot = line.count++;
            line.hashes[slot] = old.hashes[o];
            line.rows[slot] = old.rows[o];
            if (old.rows[o] >= size) cells[old.rows[o] - size] = &line.rows[slot];
        }
    }
}

// starts (part_count + 1,): where the arrivals of each part begin, which are sorted by it
void find_parts(const Arrival* sorted, i64 n, i64* starts) {
    i64 i = 0;
    for (int p = 0; p <= part_count; ++p) {
        while (i < n && part_of(sorted[i].hash) < static_cast<u64>(p)) ++i;
        starts[p] = i;
    }
}

}  // namespace

LineMemory::LineMemory(u64 count) {
    const std::size_t size = count * sizeof(Line);
    data_ = static_cast<Line*>(size >= huge_page ? map_snugly(size) : allocate(size));
    if (size < huge_page) std::memset(static_cast<void*>(data_), 0, size);
    count_ = count;
}

LineMemory::~LineMemory() {
    if (data_ == nullptr) return;
    if (bytes() >= huge_page)
        unmap_snugly(data_, bytes());
    else
        release(data_);
}

Lines::Lines() {
    parts_.fill({&no_keys, 1});
}

std::size_t Lines::bytes() const {
    std::size_t sum = 0;
    for (const LineMemory& memory : memory_) sum += memory.bytes();
    return sum;
}

// cells: where the rows of this block's new keys stand, which lie above the others
void Lines::grow(int p, u32** cells) {
    const std::size_t part = static_cast<std::size_t>(p);
    LineMemory larger(next_line_count(p, memory_[part].count()));
    const Part grown{larger.data(), larger.count()};
    move_keys(parts_[part], grown, static_cast<u32>(size_), cells);
    parts_[part] = grown;
    memory_[part] = std::move(larger);
}

template <class Insert>
void Lines::insert_into_part(int p, const Arrival* arrivals, i64 n, u32* rows, u32** cells, Insert insert) {
    const std::size_t part = static_cast<std::size_t>(p);
    for (i64 done = 0; done < n;) {
        const i64 room = room_of(memory_[part].count()) - keys_[part];
        Insertion into{parts_[part], room, static_cast<u32>(size_), rows, cells};
        done += insert(into, arrivals + done, n - done);
        keys_[part] += room - into.room;
        if (done < n) grow(p, cells);
    }
}

// Numbers the new keys by the order in which they came first; returns how many they are.
i64 Lines::number_rows(const u32* found, u32** cells, i64 n, i64* rows) {
    i64 added = 0;
    for (i64 i = 0; i < n; ++i) {
        const i64 first = static_cast<i64>(found[i]) - size_;  // the position of a new key
        rows[i] = first < 0 ? found[i] : first == i ? size_ + added++ : rows[first];
    }
    if (added == 0) return 0;
    parallel_blocks(n, 4096, threads_for(64 * added), [&](i64 begin, i64 end, int) {
        for (i64 i = begin; i < end; ++i)
            if (static_cast<i64>(found[i]) - size_ == i) *cells[i] = static_cast<u32>(rows[i]);
    });
    return added;
}

template <class Insert>
void Lines::insert(Buffer buffer, i64 n, i64* rows, Insert insert) {
    if (n == 0) return;
    if (size_ > most_keys - n) throw std::bad_alloc();
    Arrival* const arrivals = buffer.as<Arrival>();
    const Buffer spare = Buffer::of<Arrival>(n);
    const Buffer found = Buffer::of<u32>(n);
    const Buffer cells = Buffer::of<u32*>(n);
    const Arrival* const sorted = radix_sort(arrivals, spare.as<Arrival>(), n, part_bits,
                                             [](const Arrival& a) { return part_of(a.hash); });
    i64 starts[part_count + 1];
    find_parts(sorted, n, starts);
    std::atomic<bool> is_refused{false};
    parallel_blocks(part_count, 1, threads_for(128 * n), [&](i64 p, i64, int) {
        try {
            insert_into_part(static_cast<int>(p), sorted + starts[p], starts[p + 1] - starts[p],
                             found.as<u32>(), cells.as<u32*>(), insert);
        } catch (const std::bad_alloc&) {
            is_refused = true;
        }
    });
    if (is_refused) {
        truncate(size_);
        throw std::bad_alloc();
    }
    size_ += number_rows(found.as<u32>(), cells.as<u32*>(), n, rows);
}

void Lines::truncate(i64 size) noexcept {
    for (std::size_t p = 0; p < part_count; ++p) {
        if (memory_[p].count() == 0) continue;
        keys_[p] = 0;
        for (u64 l = 0; l < parts_[p].line_count; ++l) {
            Line& line = parts_[p].lines[l];
            int kept = 0;
            for (int slot = 0; slot < line.count; ++slot) {
                if (line.rows[slot] >= size) continue;
                line.hashes[kept] = line.hashes[slot];
                line.rows[kept++] = line.rows[slot];
            }
            line.count = static_cast<std::uint8_t>(kept);
            keys_[p] += kept;
        }
    }
    size_ = size;
}

i64 IntegersIn::operator()(Insertion& into, const Arrival* arrivals, i64 n) const {
    return kernel<InsertIntegers>()(into, arrivals, n);
}

i64 TextsIn::operator()(Insertion& into, const Arrival* arrivals, i64 n) const {
    return kernel<InsertTexts>()(into, known, texts, arrivals, n);
}

template void Lines::insert(Buffer, i64, i64*, IntegersIn);
template void Lines::insert(Buffer, i64, i64*, TextsIn);

}  // namespace pyembed
