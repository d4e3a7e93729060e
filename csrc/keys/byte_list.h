// Bytes that are put one behind the other, a few at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <utility>
#include <vector>

#include "base/views.h"

namespace pyembed {

class ByteList {
  public:
    i64 size() const { return static_cast<i64>(used_); }

    // Room for `count` more, of which `add` says how many were filled.
    char* room(std::size_t count) {
        if (bytes_.size() - used_ < count) bytes_.resize(std::max(2 * bytes_.size(), used_ + count + 64));
        return bytes_.data() + used_;
    }
    void add(std::size_t count) { used_ += count; }

    void append(const char* from, std::size_t count) {
        copy_few(room(count + 16), from, count);
        add(count);
    }

    std::vector<char> take() {
        bytes_.resize(used_);
        used_ = 0;
        return std::exchange(bytes_, {});
    }

  private:
    // Words are short: a call of memcpy for each would take longer than the copy.
    static void copy_few(char* to, const char* from, std::size_t count) {
        if (count > 16) {
            std::memcpy(to, from, count);
        } else if (count >= 8) {
            std::memcpy(to, from, 8);
            std::memcpy(to + count - 8, from + count - 8, 8);
        } else if (count >= 4) {
            std::memcpy(to, from, 4);
            std::memcpy(to + count - 4, from + count - 4, 4);
        } else if (count > 0) {
            to[0] = from[0];
            to[count / 2] = from[count / 2];
            to[count - 1] = from[count - 1];
        }
    }

    std::vector<char> bytes_;
    std::size_t used_ = 0;
};

}  // namespace pyembed
