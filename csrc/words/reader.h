// Files of words and their numbers, read piece by piece.
#pragma once

#include <vector>

#include "keys/text_index.h"
#include "words/rows.h"

namespace pyembed {

// How a file is read, whatever its format.
struct ReadingOptions {
    i64 dim;    // numbers of a row
    i64 limit;  // rows that are read at the most
    Faults faults;
    const TextIndex* keep;  // the words that are read alone, or null
    i64 file_bytes;         // what may be there in all, or 0: so much room is thought of

    bool keeps(const char* word, const char* end) const {
        if (keep == nullptr) return true;
        const i64 starts[] = {0, end - word};
        i64 row;
        keep->find({word, starts, 1}, 0, 1, &row);
        return row != no_row;
    }
};

template <class T>
class Reader {
  public:
    explicit Reader(const ReadingOptions& options)
        : options_(options), rows_(options.dim * static_cast<i64>(sizeof(T))) {}
    virtual ~Reader() = default;

    // Reads as much as is whole of the next bytes; returns how much that is. The rest is to be given again,
    // with what follows it. `is_last`: nothing follows. Throws std::bad_alloc.
    virtual i64 feed(const char* data, i64 n, bool is_last) = 0;

    // Whether nothing more is to be read: the limit is reached, or a fault found that is strictly refused.
    bool is_done() const { return is_done_; }

    GrowingRows& rows() { return rows_; }
    ReadWords& words() { return words_; }
    // Rows that the file has so far, whether they were kept or not.
    i64 entries() const { return entries_; }

    // The first few, and how many there are.
    const std::vector<Fault>& faults() const { return faults_; }
    i64 fault_count() const { return fault_count_; }

    // Leaves out all rows of a word but the first. A second one is a fault.
    void drop_repeated(const i64* first_rows);

  protected:
    void note(std::vector<Fault>&& faults, i64 count);
    i64 rows_expected(i64 so_far) const;
    T* row(i64 r) { return reinterpret_cast<T*>(rows_.row(r)); }

    const ReadingOptions options_;
    GrowingRows rows_;
    ReadWords words_;
    std::vector<Fault> faults_;
    i64 fault_count_ = 0;
    i64 lines_ = 0;
    i64 entries_ = 0;
    i64 bytes_ = 0;
    bool is_done_ = false;
};

// Lines of a word and its numbers, with blanks or tabs between them. The last `dim` fields are numbers; what
// stands before them is the word, with blanks if need be.
template <class T>
class TextReader : public Reader<T> {
  public:
    TextReader(const ReadingOptions& options, i64 first_line) : Reader<T>(options) {
        this->lines_ = first_line - 1;
    }
    i64 feed(const char* data, i64 n, bool is_last) override;
};

// word2vec's binary rows: a word, a blank, and the bytes of `dim` floats; perhaps with ends of lines between
// them.
template <class T>
class BinaryReader : public Reader<T> {
  public:
    // `offset`: where the first row begins in the file
    BinaryReader(const ReadingOptions& options, i64 offset) : Reader<T>(options) { this->bytes_ = offset; }
    i64 feed(const char* data, i64 n, bool is_last) override;

  private:
    void add(const char* word, const char* end, const char* numbers);
    void add_fault(i64 byte, const char* what, const char* text, const char* end);
};

}  // namespace pyembed
