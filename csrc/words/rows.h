// What readers make: words, and a row of numbers for each.
#pragma once

#include <cstddef>
#include <vector>

#include "keys/line.h"

namespace pyembed {

// A matrix that grows row by row, in pages that are taken from the system as they are written.
class GrowingRows {
  public:
    explicit GrowingRows(i64 row_bytes) : row_bytes_(row_bytes) {}
    ~GrowingRows();
    GrowingRows(const GrowingRows&) = delete;
    GrowingRows& operator=(const GrowingRows&) = delete;

    i64 count() const { return count_; }
    char* row(i64 r) const { return static_cast<char*>(data_) + r * row_bytes_; }
    char* data() const { return static_cast<char*>(data_); }

    // So many more rows, uninitialised. `expected` is how many there may be in the end. Throws
    // std::bad_alloc.
    void add(i64 more, i64 expected);
    void drop_last() { --count_; }
    // Keeps the rows r for which keep[r].
    void filter(const std::vector<bool>& keep);

  private:
    void move_to(i64 capacity);

    i64 row_bytes_;
    void* data_ = nullptr;
    i64 capacity_ = 0;
    i64 count_ = 0;
};

// A place in a file that is not as it should be.
struct Fault {
    i64 line;    // from 1; a row of a binary file
    i64 column;  // a character of the line, from 1; a byte of a binary file
    const char* what;
    std::vector<char> text;  // what stands there, or its beginning
};

// What is done with them: kept for who raises an error, mended where that can be, or left out with their
// rows.
enum class Faults { strict, replace, skip };
constexpr const char* faults_names[] = {"strict", "replace", "skip"};

// Which line of the file each row comes from. Lines that lie behind one another take no memory.
class LinesOfRows {
  public:
    void add(i64 row, i64 line) {
        if (starts_.empty() || line - row != starts_.back().line - starts_.back().row)
            starts_.push_back({row, line});
    }
    i64 of(i64 row) const;

  private:
    struct Start {
        i64 row;
        i64 line;
    };
    std::vector<Start> starts_;
};

struct ReadWords {
    std::vector<char> bytes;
    std::vector<i64> starts = {0};
    LinesOfRows lines;

    Texts texts() const { return {bytes.data(), starts.data(), static_cast<i64>(starts.size()) - 1}; }
    // The last of the bytes become the word of the next row.
    void add_word(i64 line) {
        lines.add(static_cast<i64>(starts.size()) - 1, line);
        starts.push_back(static_cast<i64>(bytes.size()));
    }
    void keep(const std::vector<bool>& kept);
};

}  // namespace pyembed
