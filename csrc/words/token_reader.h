// The words of a text as numbers: those of an index's rows, in the order in which they first came.
#pragma once

#include <optional>
#include <vector>

#include "keys/text_index.h"

namespace pyembed {

constexpr std::int32_t new_document = -1;  // stands before the numbers of each

// Reads a text in UTF-8, a document a line, piece by piece.
class TokenReader {
  public:
    // Reads as much as is whole of the next bytes, in several threads; returns how much that is. The rest is
    // to be given again, with what follows it. `is_last`: nothing follows. New words are inserted into the
    // index. Throws std::bad_alloc.
    i64 feed(const char* data, i64 n, bool is_last, TextIndex& index);

    // What was read by the last call.
    std::vector<std::int32_t>& numbers() { return numbers_; }

    // A place that is no text: nothing is read from there on.
    struct Fault {
        i64 line;  // from 1
        const char* what;
    };
    const std::optional<Fault>& fault() const { return fault_; }

  private:
    std::vector<std::int32_t> numbers_;
    std::optional<Fault> fault_;
    i64 lines_ = 0;  // that are behind it
    bool is_in_document_ = false;
};

// counts (…,) += how often each number is there
void add_counts(const std::int32_t* numbers, i64 n, i64* counts);

}  // namespace pyembed
