// A binary tree whose leaves are words: the more frequent one is, the shorter is the way to it.
#pragma once

#include <vector>

#include "base/views.h"

namespace pyembed {

// The way to a word from the root, [starts[word], starts[word + 1]): the inner nodes that it passes, and
// which turn it takes there, 1 or -1. A word that was never counted is no leaf.
struct HuffmanTree {
    std::vector<std::int32_t> nodes;
    std::vector<float> turns;
    std::vector<i64> starts;
};

// Nodes are numbered as word2vec and fastText do, from the rarest words on; the root is the last one, as many
// as there are leaves less 1. Throws std::bad_alloc.
HuffmanTree huffman_tree(const i64* counts, i64 words);

}  // namespace pyembed
