#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <new>

#include "base/buffer.h"
#include "base/threads.h"
#include "words/number.h"
#include "words/reader.h"
#include "words/utf8.h"

namespace pyembed {
namespace {

constexpr i64 block_bytes = 256 << 10;
constexpr i64 shown = 40;  // bytes of what is told in an error

bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

const char* skip_blanks(const char* at, const char* end) {
    while (at < end && is_blank(*at)) ++at;
    return at;
}

const char* field_end(const char* at, const char* end) {
    while (at < end && !is_blank(*at)) ++at;
    return at;
}

i64 count_fields(const char* at, const char* end) {
    i64 count = 0;
    for (at = skip_blanks(at, end); at < end; at = skip_blanks(field_end(at, end), end)) ++count;
    return count;
}

// Where the last `count` fields of a line begin, of which it has more.
const char* last_fields(const char* begin, const char* end, i64 count) {
    const char* at = end;
    for (; count > 0; --count) {
        while (at > begin && is_blank(at[-1])) --at;
        while (at > begin && !is_blank(at[-1])) --at;
    }
    return at;
}

i64 column_of(const char* line, const char* at) {
    return 1 + std::count_if(line, at, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

// A line without its end: neither "\n", nor "\r" before it, nor blanks before that.
const char* trimmed(const char* line, const char* end) {
    if (end > line && end[-1] == '\r') --end;
    while (end > line && is_blank(end[-1])) --end;
    return end;
}

// Lines that one thread reads.
template <class T>
struct Block {
    const char* begin;
    const char* end;
    Buffer numbers;
    i64 rows = 0;
    i64 lines = 0;
    i64 entries = 0;  // lines that are not blank
    ReadWords words;  // its lines are counted from the block's first, as those of faults
    std::vector<Fault> faults;
    i64 fault_count = 0;
};

template <class T>
class BlockReader {
  public:
    BlockReader(Block<T>& block, const ReadingOptions& options) : block_(block), options_(options) {}

    void read() {
        // A number takes a digit and a blank, also those of a line that turns out to be too short.
        const i64 most = (block_.end - block_.begin) / 2 + 2;
        block_.numbers = Buffer::of<T>(most);
        for (const char* line = block_.begin; line < block_.end;) {
            const void* const found = std::memchr(line, '\n', static_cast<std::size_t>(block_.end - line));
            const char* const end = found != nullptr ? static_cast<const char*>(found) : block_.end;
            ++block_.lines;
            read_line(line, trimmed(line, end));
            if (block_.fault_count > 0 && options_.faults == Faults::strict) return;
            line = std::min(end + 1, block_.end);
        }
    }

  private:
    void read_line(const char* line, const char* end) {
        if (line == end) return;
        line_ = line;
        ++block_.entries;
        if (is_blank(*line)) return note(line, "begins with a blank, where its word should be", line, end);
        const char* word = field_end(line, end);
        if (!options_.keeps(line, word)) {
            // Unless it has blanks in it.
            if (count_fields(line, end) <= options_.dim + 1) return;
            word = word_end(line, end);
            if (!options_.keeps(line, word)) return;
        }
        if (!read_numbers(word, end, false)) {
            const i64 fields = count_fields(line, end);
            if (fields < options_.dim + 1) return note_fields(line, end, fields);
            if (fields > options_.dim + 1) word = word_end(line, end);
            if (!read_numbers(word, end, true)) return;
        }
        keep_word(line, word);
    }

    const char* word_end(const char* line, const char* end) const {
        const char* const numbers = last_fields(line, end, options_.dim);
        return trimmed(line, numbers);
    }

    T* next_row() { return block_.numbers.template as<T>() + block_.rows * options_.dim; }

    // Whether `dim` numbers and nothing else follow the word. `tells`: what is wrong is noted, and mended
    // where that is wanted.
    bool read_numbers(const char* at, const char* end, bool tells) {
        T* const row = next_row();
        for (i64 d = 0; d < options_.dim; ++d) {
            at = skip_blanks(at, end);
            const char* const after = at < end ? read_number(at, end, row + d) : nullptr;
            if (after != nullptr && (after == end || is_blank(*after)) && std::isfinite(row[d])) {
                at = after;
                continue;
            }
            if (!tells) return false;
            const char* const stop = field_end(at, end);
            note(at, after == stop ? "is beyond the numbers that the dtype has" : what_is(at, stop), at,
                 stop);
            if (options_.faults != Faults::replace) return false;
            row[d] = T{};
            at = stop;
        }
        return skip_blanks(at, end) == end;
    }

    static const char* what_is(const char* at, const char* stop) {
        char lower[8] = {};
        for (int i = 0; i < 7 && at + i < stop; ++i)
            lower[i] = at[i] >= 'A' && at[i] <= 'Z' ? static_cast<char>(at[i] + 32) : at[i];
        const char* const name = lower[0] == '-' || lower[0] == '+' ? lower + 1 : lower;
        if (std::strncmp(name, "nan", 3) == 0 || std::strncmp(name, "inf", 3) == 0) return "is not finite";
        if (std::find(at, stop, ',') != stop) return "is no number (are its decimals behind a comma?)";
        return "is no number";
    }

    void keep_word(const char* line, const char* end) {
        const char* const zero = std::find(line, end, '\0');
        if (zero != end) return note(zero, "has a zero byte in its word: is it a text?", line, end);
        const char* const invalid = first_invalid_utf8(line, end);
        if (invalid != end) {
            note(invalid, "is no valid UTF-8", line, end);
            if (options_.faults != Faults::replace) return;
        }
        std::vector<char>& bytes = block_.words.bytes;
        if (invalid != end)
            append_valid_utf8(line, end, bytes);
        else
            bytes.insert(bytes.end(), line, end);
        block_.words.add_word(block_.lines);
        ++block_.rows;
    }

    void note_fields(const char* line, const char* end, i64 fields) {
        note(end,
             fields <= 1 ? "is a word without numbers" : "is too short: it has fewer numbers than others",
             line, end);
    }

    void note(const char* at, const char* what, const char* text, const char* end) {
        if (block_.fault_count++ >= 8) return;
        const char* stop = std::min(end, text + shown);
        while (stop > text && stop < end && (static_cast<unsigned char>(*stop) & 0xC0) == 0x80) --stop;
        block_.faults.push_back({block_.lines, column_of(line_, at), what, std::vector<char>(text, stop)});
    }

    Block<T>& block_;
    const ReadingOptions& options_;
    const char* line_ = nullptr;
};

// Whole lines in blocks of about one size.
template <class T>
std::vector<Block<T>> cut(const char* data, const char* end) {
    std::vector<Block<T>> blocks;
    while (data < end) {
        const char* stop = end - data > block_bytes ? data + block_bytes : end;
        if (stop < end) {
            const void* const line_end = std::memchr(stop, '\n', static_cast<std::size_t>(end - stop));
            stop = line_end != nullptr ? static_cast<const char*>(line_end) + 1 : end;
        }
        blocks.emplace_back();
        blocks.back().begin = data;
        blocks.back().end = stop;
        data = stop;
    }
    return blocks;
}

void append(const ReadWords& from, i64 count, i64 line, ReadWords& to) {
    const Texts texts = from.texts();
    for (i64 r = 0; r < count; ++r) {
        to.bytes.insert(to.bytes.end(), texts.begin(r), texts.begin(r) + texts.length(r));
        to.add_word(line + from.lines.of(r));
    }
}

}  // namespace

template <class T>
i64 TextReader<T>::feed(const char* data, i64 n, bool is_last) {
    const ReadingOptions& options = this->options_;
    const char* end = data + n;
    if (!is_last)
        while (end > data && end[-1] != '\n') --end;
    std::vector<Block<T>> blocks = cut<T>(data, end);
    std::atomic<bool> is_refused{false};
    const i64 count = static_cast<i64>(blocks.size());
    parallel_blocks(count, 1, threads_for(8 * n), [&](i64 b, i64, int) {
        try {
            BlockReader<T>(blocks[static_cast<std::size_t>(b)], options).read();
        } catch (const std::bad_alloc&) {
            is_refused = true;
        }
    });
    if (is_refused) throw std::bad_alloc();
    this->bytes_ += end - data;
    // In order: a limit ends the file there, and so does a fault that is refused.
    const i64 before = this->rows_.count();
    i64 rows = before;
    for (Block<T>& block : blocks) {
        if (this->is_done_) {
            block.rows = 0;
            continue;
        }
        block.rows = std::min(block.rows, options.limit - rows);
        append(block.words, block.rows, this->lines_, this->words_);
        rows += block.rows;
        if (rows == options.limit) {
            this->is_done_ = true;  // what is wrong further down is not looked at
            continue;
        }
        for (Fault& fault : block.faults) fault.line += this->lines_;
        this->note(std::move(block.faults), block.fault_count);
        this->lines_ += block.lines;
        this->entries_ += block.entries;
    }
    if (rows > before) this->rows_.add(rows - before, this->rows_expected(rows));
    // A copy is a fraction of the reading: another wait for all threads would take as long.
    i64 r = before;
    for (const Block<T>& block : blocks) {
        std::copy_n(block.numbers.template as<T>(), block.rows * options.dim, this->row(r));
        r += block.rows;
    }
    return end - data;
}

template class TextReader<float>;
template class TextReader<double>;

}  // namespace pyembed
