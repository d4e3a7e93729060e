// Registers' worth of numbers. GCC vectorises loops over plain arrays well, but not sums kept in an array
// across a loop: those it takes apart into scalars.
#pragma once

#include "element/element.h"

namespace pyembed {
namespace {

#if defined(__AVX512F__)
constexpr int register_bytes = 64;
#elif defined(__AVX__)
constexpr int register_bytes = 32;
#else
constexpr int register_bytes = 16;
#endif

template <class T>
struct LanesOf {
#if defined(__GNUC__)
    typedef T type __attribute__((vector_size(register_bytes), aligned(alignof(T)), may_alias));
#else
    using type = T;
#endif
};

// As many T as a register holds, loaded from and stored to any address of a T.
template <class T>
using Lanes = typename LanesOf<T>::type;

// What a register (or one number) V of arithmetic has of the elements from `from` on.
template <class V, class E>
PYEMBED_INLINE V load(const E* from) {
    return *reinterpret_cast<const V*>(from);
}

}  // namespace
}  // namespace pyembed
