#include "words/corpus.h"

#include <algorithm>

namespace pyembed {

void Block::add(int word, u64 random, int window) {
    words_.push_back(word);
    reaches_.push_back(1 + static_cast<int>(scaled(static_cast<u32>(random), static_cast<u32>(window))));
}

void Block::read(const Corpus& corpus, i64 begin, i64 end, u64 key, int window) {
    words_.clear();
    reaches_.clear();
    const auto ends_document = [&](i64 place) { return corpus.numbers[place] < 0; };
    const auto add_place = [&](i64 place) {
        if (ends_document(place)) return add(no_word, 0, window);
        const u64 random = random_at(key, static_cast<u64>(place));
        const int word = corpus.word_at(place, random);
        if (word != no_word) add(word, random, window);
    };
    const auto is_enough = [&](std::size_t before) {
        return words_.size() - before >= static_cast<std::size_t>(window);
    };
    for (i64 place = begin; place-- > 0 && !ends_document(place) && !is_enough(0);) add_place(place);
    std::reverse(words_.begin(), words_.end());
    first_ = static_cast<i64>(words_.size());
    for (i64 place = begin; place < end; ++place) add_place(place);
    last_ = static_cast<i64>(words_.size());
    const std::size_t before = words_.size();
    for (i64 place = end; place < corpus.size && !ends_document(place) && !is_enough(before); ++place)
        add_place(place);
}

}  // namespace pyembed
