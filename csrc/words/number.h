// Numbers as text: read to the nearest float, written in the fewest digits that are read as the same one.
#pragma once

#include "base/views.h"

namespace pyembed {

// Reads a number at `text`, as [+-] digits [. digits] [e [+-] digits]; returns where it ends, or null where
// none begins. The result is the T nearest to what stands there, infinite where that is too large; no locale
// has a say. Throws std::bad_alloc where thousands of digits do not fit into memory.
template <class T>
const char* read_number(const char* text, const char* end, T* number);

// The most characters that write_number takes.
constexpr int longest_number = 32;

// Writes a finite number; returns where it ends.
char* write_number(float number, char* out);
char* write_number(double number, char* out);

}  // namespace pyembed
