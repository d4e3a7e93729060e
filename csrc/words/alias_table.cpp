#include "words/alias_table.h"

#include <numeric>

namespace pyembed {

AliasTable::AliasTable(const std::vector<double>& weights) : cells_(weights.size()) {
    const auto n = static_cast<double>(weights.size());
    const double scale = n / std::accumulate(weights.begin(), weights.end(), 0.0);
    std::vector<double> shares(weights.size());
    std::vector<int> small;
    std::vector<int> large;
    for (std::size_t w = 0; w < weights.size(); ++w) {
        shares[w] = weights[w] * scale;
        (shares[w] < 1.0 ? small : large).push_back(static_cast<int>(w));
    }
    const auto at = [](int w) { return static_cast<std::size_t>(w); };
    constexpr double all = 4294967296.0;
    while (!small.empty() && !large.empty()) {
        const int few = small.back();
        const int many = large.back();
        small.pop_back();
        cells_[at(few)] = {static_cast<u32>(shares[at(few)] * all), many};
        shares[at(many)] -= 1.0 - shares[at(few)];
        if (shares[at(many)] < 1.0) {
            large.pop_back();
            small.push_back(many);
        }
    }
    // What is left is whole, but for rounding.
    for (const auto* rest : {&small, &large})
        for (const int w : *rest) cells_[at(w)] = {0, w};
}

}  // namespace pyembed
