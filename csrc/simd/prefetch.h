#pragma once

#include "../views.h"

#if defined(_MSC_VER)
#include <intrin.h>
#endif

namespace pyembed {
namespace {

PYEMBED_INLINE void prefetch_line(const void* address, bool to_write) {
#if defined(_MSC_VER) && (defined(_M_X64) || defined(_M_IX86))
    (void)to_write;
    _mm_prefetch(static_cast<const char*>(address), _MM_HINT_T0);
#elif defined(_MSC_VER)
    (void)to_write;
    __prefetch(address);
#else
    if (to_write)
        __builtin_prefetch(address, 1, 3);
    else
        __builtin_prefetch(address, 0, 3);
#endif
}

// A hint for the first lines of a row; the processor's own prefetcher follows a longer one from there.
template <class T>
PYEMBED_INLINE void prefetch_row(const T* row, i64 dim, bool to_write = false) {
    constexpr i64 line = 64;
    constexpr i64 most = 16 * line;
    const i64 bytes = dim * static_cast<i64>(sizeof(T));
    const char* const first = reinterpret_cast<const char*>(row);
    const i64 stop = bytes < most ? bytes : most;
    for (i64 at = 0; at < stop; at += line) prefetch_line(first + at, to_write);
}

}  // namespace
}  // namespace pyembed
