// Rows of words and numbers as text.
#pragma once

#include <vector>

#include "keys/line.h"

namespace pyembed {

// Lines of the rows [0, texts.count): each word, and its numbers in the fewest digits that are read as the
// same ones. Throws std::bad_alloc.
template <class T>
std::vector<char> lines_of_rows(const Texts& texts, Rows<const T> rows);

}  // namespace pyembed
