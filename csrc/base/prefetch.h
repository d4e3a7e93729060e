// Hints to fetch rows that are used soon. Into the second-level cache: a processor keeps more misses in
// flight there than in the first, and on their number the speed of rows at random depends.
#pragma once

#include <stdint.h>

#include "base/views.h"

#if defined(_MSC_VER)
#include <intrin.h>
#endif

namespace pyembed {

constexpr i64 cache_line = 64;
constexpr i64 most_rows_ahead = 64;

// How many rows ahead of their use rows are fetched: enough lines that the processor can always have as many
// on their way as it is able to, and few enough rows that these do not push each other out.
template <class T>
PYEMBED_INLINE i64 rows_ahead(i64 dim) {
    constexpr i64 bytes = 8 << 10;
    const i64 row = (dim > 0 ? dim : 1) * static_cast<i64>(sizeof(T));
    const i64 rows = bytes / row;
    return rows < 2 ? 2 : rows < most_rows_ahead ? rows : most_rows_ahead;
}

PYEMBED_INLINE void prefetch_line(const void* address) {
#if defined(_MSC_VER) && (defined(_M_X64) || defined(_M_IX86))
    _mm_prefetch(static_cast<const char*>(address), _MM_HINT_T1);
#elif defined(_MSC_VER)
    __prefetch(address);
#else
    __builtin_prefetch(address, 0, 2);
#endif
}

// All lines of a row, or the first ones: the processor's own prefetcher follows a very long row from there.
template <class T>
PYEMBED_INLINE void prefetch_row(const T* row, i64 dim) {
    constexpr i64 most = 64 * cache_line;
    const i64 bytes = dim * static_cast<i64>(sizeof(T));
    const char* const first = reinterpret_cast<const char*>(row);
    const char* const stop = first + (bytes < most ? bytes : most);
    const char* line = first - (reinterpret_cast<uintptr_t>(row) & (cache_line - 1));
    for (; line < stop; line += cache_line) prefetch_line(line);
}

// How many of `count` rows to fetch ahead: none of a table that fits into the second-level cache, where it is
// anyway, and hints only take time.
template <class T>
PYEMBED_INLINE i64 rows_to_prefetch(Rows<const T> table, i64 count) {
    constexpr i64 cached = 1 << 20;
    return table.rows * table.dim * static_cast<i64>(sizeof(T)) <= cached ? 0 : count;
}

// For a loop over rows[0] … rows[stop - 1] that has come to within a few of rows[next].
template <class T>
PYEMBED_INLINE void prefetch_next(Rows<const T> table, const i64* rows, i64 next, i64 stop) {
    if (next < stop && rows[next] >= 0) prefetch_row(table.row(rows[next]), table.dim);
}

}  // namespace pyembed
