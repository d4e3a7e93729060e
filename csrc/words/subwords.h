// fastText's words: their n-grams, and how its files list them.
#pragma once

#include <vector>

#include "words/rows.h"

namespace pyembed {

// Lengths in characters; none where `longest` is 0.
struct Ngrams {
    i64 shortest;
    i64 longest;
    i64 buckets;
};

// Appends the buckets of the n-grams of each text, between "<" and ">"; ends (count,): where those of each
// end. As fastText numbers them: its hash takes bytes above 127 for negative numbers, and "</s>" has none.
void append_ngrams(const Texts& texts, const Ngrams& ngrams, std::vector<i64>& buckets,
                   std::vector<i64>& ends);

// The words of a fastText dictionary, each with a zero byte behind it, a count of 64 bits and a byte that is
// 0 for a word and 1 for a label. Reads what is whole of up to `count` entries; returns how many bytes these
// take.
i64 read_dictionary(const char* data, i64 n, i64 count, ReadWords& words, std::vector<i64>& counts,
                    std::vector<bool>& is_label);

}  // namespace pyembed
