#include "words/subwords.h"

#include <cstring>
#include <string_view>

namespace pyembed {
namespace {

bool continues(char c) {
    return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

// FNV-1a, of signed bytes.
u32 extended(u32 hash, char c) {
    return (hash ^ static_cast<u32>(static_cast<std::int32_t>(static_cast<signed char>(c)))) * 16777619u;
}

// What fastText's dictionary has for the end of a sentence: no word, and without n-grams.
bool is_end(const Texts& texts, i64 t) {
    return std::string_view(texts.begin(t), static_cast<std::size_t>(texts.length(t))) == "</s>";
}

void append_of_word(const std::vector<char>& word, const Ngrams& ngrams, std::vector<i64>& buckets) {
    const std::size_t length = word.size();
    for (std::size_t begin = 0; begin < length; ++begin) {
        if (continues(word[begin])) continue;
        u32 hash = 2166136261u;
        std::size_t end = begin;
        for (i64 n = 1; end < length && n <= ngrams.longest; ++n) {
            do hash = extended(hash, word[end++]);
            while (end < length && continues(word[end]));
            const bool is_bracket = n == 1 && (begin == 0 || end == length);
            if (n >= ngrams.shortest && !is_bracket)
                buckets.push_back(static_cast<i64>(hash % static_cast<u64>(ngrams.buckets)));
        }
    }
}

}  // namespace

void append_ngrams(const Texts& texts, const Ngrams& ngrams, std::vector<i64>& buckets,
                   std::vector<i64>& ends) {
    std::vector<char> word;
    for (i64 t = 0; t < texts.count; ++t) {
        if (ngrams.buckets > 0 && !is_end(texts, t)) {
            word.assign(1, '<');
            word.insert(word.end(), texts.begin(t), texts.begin(t) + texts.length(t));
            word.push_back('>');
            append_of_word(word, ngrams, buckets);
        }
        ends.push_back(static_cast<i64>(buckets.size()));
    }
}

i64 read_dictionary(const char* data, i64 n, i64 count, ReadWords& words, std::vector<i64>& counts,
                    std::vector<bool>& is_label) {
    const char* at = data;
    const char* const end = data + n;
    constexpr std::ptrdiff_t behind = 1 + 8 + 1;  // the zero byte, the count, the kind
    for (i64 i = 0; i < count; ++i) {
        const void* const zero = at < end ? std::memchr(at, 0, static_cast<std::size_t>(end - at)) : nullptr;
        const char* const stop = static_cast<const char*>(zero);
        if (stop == nullptr || end - stop < behind) break;
        words.bytes.insert(words.bytes.end(), at, stop);
        words.add_word(i + 1);
        i64 seen;
        std::memcpy(&seen, stop + 1, sizeof(seen));
        counts.push_back(seen);
        is_label.push_back(stop[9] != 0);
        at = stop + behind;
    }
    return at - data;
}

}  // namespace pyembed
