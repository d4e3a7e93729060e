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

constexpr int narrowest_bytes = 16;

template <class T, int bytes>
struct LanesOf {
#if defined(__GNUC__)
    typedef T type __attribute__((vector_size(bytes), aligned(alignof(T)), may_alias));
#else
    using type = T;
#endif
};
template <class T>
struct LanesOf<T, 0> {
    using type = T;
};

// As many T as a register of so many bytes holds, loaded from and stored to any address of a T; of 0 bytes:
// one.
template <class T, int bytes>
using Lanes = typename LanesOf<T, bytes>::type;

// What a block of columns is kept in.
template <int bytes, int n>
struct Registers {
    static constexpr int count = n;
    template <class T>
    using Of = Lanes<T, bytes>;
    template <class T>
    static constexpr i64 columns = n * static_cast<i64>(sizeof(Of<T>) / sizeof(T));
};

// Calls use(Registers<…>(), column) for blocks that cover the columns [column, dim) of numbers T: four of the
// widest registers, one, and what is left in narrower ones.
template <class T, int bytes = register_bytes, class Use>
PYEMBED_INLINE void for_column_blocks(i64 column, i64 dim, Use use) {
    const auto as_many = [&](auto registers) {
        constexpr i64 columns = decltype(registers)::template columns<T>;
        for (; column + columns <= dim; column += columns) use(registers, column);
    };
    if constexpr (bytes == register_bytes) as_many(Registers<bytes, 4>());
    as_many(Registers<bytes, 1>());
    if constexpr (bytes > narrowest_bytes)
        for_column_blocks<T, bytes / 2>(column, dim, use);
    else
        as_many(Registers<0, 1>());
}

// What a register (or one number) V of arithmetic has of the elements from `from` on.
template <class V, class E>
PYEMBED_INLINE V load(const E* from) {
    return *reinterpret_cast<const V*>(from);
}

}  // namespace
}  // namespace pyembed
