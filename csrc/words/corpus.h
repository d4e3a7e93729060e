// A text as numbers, and the part of it that is learned at a time.
#pragma once

#include <vector>

#include "words/random.h"
#include "words/token_reader.h"

namespace pyembed {

constexpr int no_word = -1;  // where a document ends

// What the numbers of a text stand for.
struct Token {
    int word;  // a row; no_word for one that is left out
    u32 kept;  // the share of its places that are learned from, of 2^32; the largest number for all
};

struct Corpus {
    const std::int32_t* numbers;  // (size,): of tokens, or below 0 before each document
    i64 size;
    const Token* tokens;

    // The word at a place, if it is learned from in this epoch, or no_word.
    int word_at(i64 place, u64 random) const {
        const Token& token = tokens[numbers[place]];
        return token.word != no_word && static_cast<u32>(random >> 32) <= token.kept ? token.word : no_word;
    }
};

// The words that are kept of a range of places, and those around it that lie in their windows. Any cut of a
// text into ranges has the same windows.
class Block {
  public:
    // Of the places [begin, end) of an epoch, whose random numbers have this key.
    void read(const Corpus& corpus, i64 begin, i64 end, u64 key, int window);

    // Words, and no_word between documents.
    const std::vector<int>& words() const { return words_; }
    // The reach of a word's window to either side, from 1 to `window`, at random.
    int reach(i64 at) const { return reaches_[static_cast<std::size_t>(at)]; }
    // The centres of the windows are words [first, last), some of them no_word.
    i64 first() const { return first_; }
    i64 last() const { return last_; }

  private:
    void add(int word, u64 random, int window);

    std::vector<int> words_;
    std::vector<int> reaches_;
    i64 first_ = 0;
    i64 last_ = 0;
};

}  // namespace pyembed
