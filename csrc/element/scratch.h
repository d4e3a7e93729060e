// Where rows are opened that cannot be computed with where they lie.
#pragma once

#include <type_traits>

#include "base/buffer.h"
#include "element/element.h"

namespace pyembed {

// A row (dim,) for each thread; none, and no memory, where rows are opened in place.
template <class E>
class Scratch {
    using T = Compute<E>;

  public:
    Scratch(int threads, i64 dim) : dim_(dim) {
        if constexpr (!std::is_same_v<E, T>) rows_ = Buffer::of<T>(threads * dim);
    }
    T* row([[maybe_unused]] int thread) const {
        if constexpr (std::is_same_v<E, T>) return nullptr;
        return rows_.as<T>() + thread * dim_;
    }

  private:
    Buffer rows_;
    i64 dim_;
};

}  // namespace pyembed
