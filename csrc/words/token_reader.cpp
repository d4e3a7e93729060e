#include "words/token_reader.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <limits>
#include <stdexcept>

#include "base/threads.h"
#include "words/utf8.h"

namespace pyembed {
namespace {

constexpr i64 piece_bytes = 256 << 10;

bool is_blank(char c) {
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

// The words of a part of a text.
struct Piece {
    ByteList bytes;
    std::vector<i64> starts = {0};
    std::vector<i64> documents;  // before which words a new one begins
    std::vector<char> words;
    std::vector<i64> rows;
    const char* fault = nullptr;  // where it is no text
    std::exception_ptr thrown;

    Texts texts() const { return {words.data(), starts.data(), static_cast<i64>(starts.size()) - 1}; }

    void split(const char* begin, const char* end) {
        for (const char* line = begin; line < end;) {
            const void* const found = std::memchr(line, '\n', static_cast<std::size_t>(end - line));
            const char* const stop = found != nullptr ? static_cast<const char*>(found) : end;
            split_words(line, stop, bytes, starts);
            if (found == nullptr) break;
            documents.push_back(static_cast<i64>(starts.size()) - 1);
            line = stop + 1;
        }
        words = bytes.take();
    }

    void read(const char* begin, const char* end, const TextIndex& index) {
        try {
            fault = first_invalid_utf8(begin, end);
            fault = std::find(begin, fault, '\0');
            split(begin, fault);
            if (fault == end) fault = nullptr;
            rows.resize(starts.size() - 1);
            index.find(texts(), 0, texts().count, rows.data());
        } catch (...) {
            thrown = std::current_exception();
        }
    }
};

// Where a text may be cut: behind a blank, at `at` or before; `begin` where there is none.
const char* cut(const char* begin, const char* at) {
    while (at > begin && !is_blank(at[-1])) --at;
    return at;
}

std::vector<const char*> cuts_of(const char* begin, const char* end) {
    std::vector<const char*> cuts = {begin};
    while (end - cuts.back() > piece_bytes) {
        const char* const next = cut(cuts.back(), cuts.back() + piece_bytes);
        if (next == cuts.back()) break;  // a very long word: the rest stays in one piece
        cuts.push_back(next);
    }
    if (cuts.back() < end) cuts.push_back(end);
    return cuts;
}

// Gives the words that the index has not got rows in it.
void insert_missing(std::vector<Piece>& pieces, TextIndex& index) {
    std::vector<char> bytes;
    std::vector<i64> starts = {0};
    for (const Piece& piece : pieces)
        for (i64 t = 0; t < piece.texts().count; ++t) {
            if (piece.rows[static_cast<std::size_t>(t)] != no_row) continue;
            bytes.insert(bytes.end(), piece.texts().begin(t),
                         piece.texts().begin(t) + piece.texts().length(t));
            starts.push_back(static_cast<i64>(bytes.size()));
        }
    std::vector<i64> rows(starts.size() - 1);
    index.insert({bytes.data(), starts.data(), static_cast<i64>(rows.size())}, rows.data());
    auto next = rows.begin();
    for (Piece& piece : pieces)
        for (i64& row : piece.rows)
            if (row == no_row) row = *next++;
}

}  // namespace

i64 TokenReader::feed(const char* data, i64 n, bool is_last, TextIndex& index) {
    numbers_.clear();
    const char* const end = is_last ? data + n : cut(data, data + n);
    const std::vector<const char*> cuts = cuts_of(data, end);
    std::vector<Piece> pieces(cuts.size() - 1);
    parallel_blocks(static_cast<i64>(pieces.size()), 1, max_threads(), [&](i64 begin, i64 stop, int) {
        for (auto p = static_cast<std::size_t>(begin); p < static_cast<std::size_t>(stop); ++p)
            pieces[p].read(cuts[p], cuts[p + 1], index);
    });
    for (const Piece& piece : pieces)
        if (piece.thrown) std::rethrow_exception(piece.thrown);
    const auto bad =
        std::find_if(pieces.begin(), pieces.end(), [](const Piece& p) { return p.fault != nullptr; });
    if (bad != pieces.end()) {
        const i64 line = lines_ + 1 + std::count(data, bad->fault, '\n');
        fault_ = Fault{line, *bad->fault == 0 ? "has a zero byte" : "is no valid UTF-8"};
        return 0;
    }
    insert_missing(pieces, index);
    if (index.size() > std::numeric_limits<std::int32_t>::max())
        throw std::length_error("the text has more than 2147483647 different words");
    for (const Piece& piece : pieces) {
        auto document = piece.documents.begin();
        for (i64 t = 0; t <= piece.texts().count; ++t) {
            for (; document != piece.documents.end() && *document == t; ++document) is_in_document_ = false;
            if (t == piece.texts().count) break;
            if (!is_in_document_) numbers_.push_back(new_document);
            is_in_document_ = true;
            numbers_.push_back(static_cast<std::int32_t>(piece.rows[static_cast<std::size_t>(t)]));
        }
        lines_ += static_cast<i64>(piece.documents.size());
    }
    return end - data;
}

void add_counts(const std::int32_t* numbers, i64 n, i64* counts) {
    for (i64 i = 0; i < n; ++i)
        if (numbers[i] >= 0) ++counts[numbers[i]];
}

}  // namespace pyembed
