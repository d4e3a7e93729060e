// Memory for the working arrays of a call.
#pragma once

#include <cstddef>
#include <utility>

#include "base/views.h"

namespace pyembed {

// Uninitialised working memory. Large blocks are kept for the next call when they die, since fresh pages
// cost more than the work done in them; release_memory() gives the kept ones back to the system.
class Buffer {
  public:
    Buffer() = default;
    explicit Buffer(std::size_t bytes);
    ~Buffer();
    Buffer(Buffer&& other) noexcept { swap(other); }
    Buffer& operator=(Buffer&& other) noexcept {
        Buffer(std::move(other)).swap(*this);
        return *this;
    }

    // Whether a block of this size is kept when it dies.
    static bool is_kept(std::size_t bytes);

    template <class T>
    static Buffer of(i64 count) {
        return Buffer(static_cast<std::size_t>(count) * sizeof(T));
    }
    template <class T>
    T* as() const {
        return static_cast<T*>(data_);
    }

  private:
    void swap(Buffer& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(bytes_, other.bytes_);
    }
    void* data_ = nullptr;
    std::size_t bytes_ = 0;
};

void release_memory();

}  // namespace pyembed
