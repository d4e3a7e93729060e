#include <algorithm>
#include <cmath>
#include <cstring>

#include "words/reader.h"
#include "words/utf8.h"

namespace pyembed {
namespace {

constexpr i64 longest_word = 64 << 10;
constexpr i64 shown = 40;

}  // namespace

template <class T>
void BinaryReader<T>::add_fault(i64 byte, const char* what, const char* text, const char* end) {
    std::vector<Fault> fault;
    fault.push_back({this->lines_, byte, what, std::vector<char>(text, std::min(end, text + shown))});
    this->note(std::move(fault), 1);
}

template <class T>
void BinaryReader<T>::add(const char* word, const char* end, const char* numbers) {
    const ReadingOptions& options = this->options_;
    const i64 byte = this->bytes_;
    if (!options.keeps(word, end)) return;
    const bool is_valid = first_invalid_utf8(word, end) == end;
    if (!is_valid || word == end) {
        add_fault(byte, word == end ? "begins with a blank, where its word should be" : "is no valid UTF-8",
                  word, end);
        if (options.faults != Faults::replace || word == end) return;
    }
    const i64 r = this->rows_.count();
    this->rows_.add(1, this->rows_expected(r + 1));
    for (i64 d = 0; d < options.dim; ++d) {
        float number;
        std::memcpy(&number, numbers + d * static_cast<i64>(sizeof(float)), sizeof(float));
        if (!std::isfinite(number)) {
            add_fault(byte, "has a number that is not finite", word, end);
            if (options.faults != Faults::replace) return this->rows_.drop_last();
            number = 0.0f;
        }
        this->row(r)[d] = static_cast<T>(number);
    }
    ReadWords& words = this->words_;
    if (is_valid)
        words.bytes.insert(words.bytes.end(), word, end);
    else
        append_valid_utf8(word, end, words.bytes);
    words.add_word(this->lines_);
    if (this->rows_.count() == options.limit) this->is_done_ = true;
}

template <class T>
i64 BinaryReader<T>::feed(const char* data, i64 n, bool is_last) {
    const char* const end = data + n;
    const i64 row_bytes = this->options_.dim * static_cast<i64>(sizeof(float));
    const char* at = data;
    while (!this->is_done_) {
        const char* word = at;
        while (word < end && *word == '\n') ++word;
        if (word == end) {
            at = word;
            break;
        }
        const i64 most = std::min<i64>(end - word, longest_word);
        const char* const blank =
            static_cast<const char*>(std::memchr(word, ' ', static_cast<std::size_t>(most)));
        const bool is_cut = blank == nullptr ? most < longest_word : end - blank - 1 < row_bytes;
        if (is_cut && !is_last) break;
        ++this->lines_;
        this->bytes_ += word - at;
        at = word;
        if (blank == nullptr || is_cut) {
            add_fault(this->bytes_, is_cut ? "is cut short" : "is no word and numbers", word, end);
            this->is_done_ = true;
            break;
        }
        ++this->entries_;
        add(word, blank, blank + 1);
        at = blank + 1 + row_bytes;
        this->bytes_ += at - word;
    }
    return at - data;
}

template class BinaryReader<float>;
template class BinaryReader<double>;

}  // namespace pyembed
