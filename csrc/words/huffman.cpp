#include "words/huffman.h"

#include <algorithm>

namespace pyembed {
namespace {

// A leaf or an inner node, and where its parent is.
struct Node {
    i64 count;
    std::size_t parent = 0;
    bool is_second = false;
};

// Leaves by falling counts, and inner nodes behind them as they are made: by rising counts.
std::vector<Node> nodes_of(const std::vector<i64>& counts) {
    const std::size_t leaves = counts.size();
    std::vector<Node> nodes;
    for (const i64 count : counts) nodes.push_back({count});
    std::size_t leaf = leaves;  // those before are without a parent
    std::size_t inner = leaves;
    const auto take_rarest = [&] {
        if (leaf > 0 && (inner == nodes.size() || nodes[leaf - 1].count < nodes[inner].count)) return --leaf;
        return inner++;
    };
    while (nodes.size() + 1 < 2 * leaves) {
        const std::size_t first = take_rarest();
        const std::size_t second = take_rarest();
        nodes[first].parent = nodes[second].parent = nodes.size();
        nodes[second].is_second = true;
        nodes.push_back({nodes[first].count + nodes[second].count});
    }
    return nodes;
}

}  // namespace

HuffmanTree huffman_tree(const i64* counts, i64 words) {
    std::vector<i64> leaves;  // words
    for (i64 word = 0; word < words; ++word)
        if (counts[word] > 0) leaves.push_back(word);
    std::stable_sort(leaves.begin(), leaves.end(), [&](i64 a, i64 b) { return counts[a] > counts[b]; });
    std::vector<i64> falling;
    for (const i64 word : leaves) falling.push_back(counts[word]);
    const std::vector<Node> nodes = nodes_of(falling);
    std::vector<std::size_t> leaf_of(static_cast<std::size_t>(words), nodes.size());
    for (std::size_t leaf = 0; leaf < leaves.size(); ++leaf)
        leaf_of[static_cast<std::size_t>(leaves[leaf])] = leaf;
    HuffmanTree tree;
    tree.starts.push_back(0);
    for (const std::size_t leaf : leaf_of) {
        const auto begin = static_cast<std::ptrdiff_t>(tree.nodes.size());
        for (std::size_t at = leaf; at + 1 < nodes.size(); at = nodes[at].parent) {
            tree.nodes.push_back(static_cast<std::int32_t>(nodes[at].parent - leaves.size()));
            tree.turns.push_back(nodes[at].is_second ? 1.0f : -1.0f);
        }
        std::reverse(tree.nodes.begin() + begin, tree.nodes.end());
        std::reverse(tree.turns.begin() + begin, tree.turns.end());
        tree.starts.push_back(static_cast<i64>(tree.nodes.size()));
    }
    return tree;
}

}  // namespace pyembed
