// Plain views of memory that somebody else owns. Data only, so that every instruction set may include them.
#pragma once

#include <cstdint>

// Nothing in a header shared by several instruction sets may be emitted out of line: the linker keeps one
// copy of an inline function, and that could be the AVX-512 one.
#if defined(_MSC_VER)
#define PYEMBED_INLINE __forceinline
#define PYEMBED_OUT_OF_LINE __declspec(noinline)
#else
#define PYEMBED_INLINE inline __attribute__((always_inline))
#define PYEMBED_OUT_OF_LINE __attribute__((noinline))
#endif

namespace pyembed {

using i64 = std::int64_t;
using u64 = std::uint64_t;
using u32 = std::uint32_t;

// Stands for no row where the number of one is expected.
constexpr i64 no_row = -1;

// A matrix (rows, dim) whose rows are contiguous; consecutive rows start `stride` elements apart.
template <class T>
struct Rows {
    T* data;
    i64 rows;
    i64 dim;
    i64 stride;

    PYEMBED_INLINE T* row(i64 r) const { return data + r * stride; }
};

template <class T>
PYEMBED_INLINE Rows<const T> read_only(const Rows<T>& view) {
    return {view.data, view.rows, view.dim, view.stride};
}

}  // namespace pyembed
