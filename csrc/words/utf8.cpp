#include "words/utf8.h"

namespace pyembed {
namespace {

u32 byte_at(const char* text) {
    return static_cast<unsigned char>(*text);
}

bool continues(const char* text) {
    return (byte_at(text) & 0xC0) == 0x80;
}

// The characters that Python's str.isspace() knows.
bool is_space(u32 c) {
    return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
           c == 0x3000;
}

// Whether a character of blank space may begin with this byte.
bool may_be_space(char c) {
    const u32 byte = static_cast<unsigned char>(c);
    return byte <= 0x20 || byte == 0xC2 || (byte >= 0xE1 && byte <= 0xE3);
}

// How many bytes of blank space begin here.
int space_length(const char* text, const char* end) {
    const u32 first = byte_at(text);
    if (first < 0x80) return is_space(first);
    if (first == 0xC2 && end - text > 1) return is_space(byte_at(text + 1)) ? 2 : 0;
    if (first >= 0xE1 && first <= 0xE3 && end - text > 2) {
        const u32 c = (first & 0x0F) << 12 | (byte_at(text + 1) & 0x3F) << 6 | (byte_at(text + 2) & 0x3F);
        return is_space(c) ? 3 : 0;
    }
    return 0;
}

}  // namespace

int utf8_length(const char* text, const char* end) {
    const u32 first = byte_at(text);
    if (first < 0x80) return 1;
    const int length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || end - text < length) return 0;
    for (int i = 1; i < length; ++i)
        if (!continues(text + i)) return 0;
    const u32 second = byte_at(text + 1);
    const bool is_too_long = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
    const bool is_surrogate = first == 0xED && second >= 0xA0;
    const bool is_too_large = first == 0xF4 && second >= 0x90;
    return is_too_long || is_surrogate || is_too_large ? 0 : length;
}

const char* first_invalid_utf8(const char* text, const char* end) {
    while (text < end) {
        const int length = utf8_length(text, end);
        if (length == 0) return text;
        text += length;
    }
    return end;
}

void append_valid_utf8(const char* text, const char* end, std::vector<char>& out) {
    constexpr char replacement[] = "\xEF\xBF\xBD";
    while (text < end) {
        const int length = utf8_length(text, end);
        if (length == 0) {
            out.insert(out.end(), replacement, replacement + 3);
            ++text;
        } else {
            out.insert(out.end(), text, text + length);
            text += length;
        }
    }
}

void split_words(const char* text, const char* end, ByteList& bytes, std::vector<i64>& ends) {
    const char* word = text;
    const auto keep = [&](const char* stop) {
        if (stop == word) return;
        bytes.append(word, static_cast<std::size_t>(stop - word));
        ends.push_back(bytes.size());
    };
    while (text < end) {
        if (!may_be_space(*text)) {
            ++text;
            continue;
        }
        const int space = space_length(text, end);
        if (space > 0) {
            keep(text);
            word = text + space;
        }
        text += space > 0 ? space : 1;
    }
    keep(end);
}

}  // namespace pyembed
