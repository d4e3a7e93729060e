#include "keys/text_index.h"

#include <algorithm>
#include <new>

#include "base/kernel.h"
#include "base/threads.h"
#include "keys/hash.h"

namespace pyembed {
namespace {

constexpr i64 piece = 1024;
constexpr i64 bytes_of_one = 256;  // that are read for a text, by and large

// Room for so many more, and half as many again as there are: a vector that is told to reserve takes no more
// than that, and would be copied again and again.
template <class T>
void make_room(std::vector<T>& values, std::size_t more) {
    if (values.capacity() - values.size() >= more) return;
    values.reserve(std::max(values.size() + more, values.size() + values.size() / 2));
}

}  // namespace

std::size_t TextIndex::bytes() const {
    return lines_.bytes() + bytes_.capacity() + starts_.capacity() * sizeof(i64);
}

void TextIndex::find(const Texts& texts, i64 begin, i64 end, i64* rows) const {
    kernel<FindTexts>()(lines_.parts(), this->texts(), texts, begin, end, rows);
}

void TextIndex::find(const Texts& texts, i64* rows) const {
    parallel_blocks(texts.count, piece, threads_for(bytes_of_one * texts.count),
                    [&](i64 begin, i64 end, int) { find(texts, begin, end, rows + begin); });
}

void TextIndex::insert(const Texts& texts, i64* rows) {
    const i64 before = size();
    try {
        for (i64 begin = 0; begin < texts.count; begin += Lines::block) {
            const i64 n = std::min(Lines::block, texts.count - begin);
            const Texts some{texts.bytes, texts.starts + begin, n};
            Buffer arrivals = Buffer::of<Arrival>(n);
            Arrival* const made = arrivals.as<Arrival>();
            parallel_blocks(n, piece, threads_for(bytes_of_one * n), [&](i64 from, i64 to, int) {
                for (i64 t = from; t < to; ++t) made[t] = {hash_of_text(some, t), static_cast<u32>(t)};
            });
            const Texts known = this->texts();
            lines_.insert(std::move(arrivals), n, rows + begin, TextsIn{known, some});
            append(some, rows + begin);
        }
    } catch (const std::bad_alloc&) {
        lines_.truncate(before);
        starts_.resize(static_cast<std::size_t>(before) + 1);
        bytes_.resize(static_cast<std::size_t>(starts_.back()));
        throw;
    }
}

// Keeps the new ones: a text is new where its row is the next one.
void TextIndex::append(const Texts& texts, const i64* rows) {
    const auto kept = [&] { return static_cast<i64>(starts_.size()) - 1; };
    make_room(starts_, static_cast<std::size_t>(size() - kept()));
    i64 more = 0;
    for (i64 t = 0, next = kept(); t < texts.count; ++t) {
        if (rows[t] != next) continue;
        more += texts.length(t);
        ++next;
    }
    make_room(bytes_, static_cast<std::size_t>(more));
    for (i64 t = 0; t < texts.count; ++t) {
        if (rows[t] != kept()) continue;
        bytes_.insert(bytes_.end(), texts.begin(t), texts.begin(t) + texts.length(t));
        starts_.push_back(static_cast<i64>(bytes_.size()));
    }
}

}  // namespace pyembed
