// Texts in UTF-8.
#pragma once

#include <vector>

#include "keys/byte_list.h"

namespace pyembed {

// How many bytes the character at `text` takes, from 1 to 4; 0 where none is there that is valid.
int utf8_length(const char* text, const char* end);

// The first byte that is no part of a valid character; `end` where all are.
const char* first_invalid_utf8(const char* text, const char* end);

// Appends the text, each of its bytes that is no part of a valid character as U+FFFD.
void append_valid_utf8(const char* text, const char* end, std::vector<char>& out);

// Appends the words of a text, as Python's str.split() finds them: bytes, and where each ends.
void split_words(const char* text, const char* end, ByteList& bytes, std::vector<i64>& ends);

}  // namespace pyembed
