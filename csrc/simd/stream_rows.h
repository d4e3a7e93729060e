// copy_rows for an output that is larger than the cache: whole lines are written past it, which saves reading
// them first.
#pragma once

#include <string.h>

#include "copy_rows.h"

#if defined(__SSE2__) || defined(_M_X64)
#define PYEMBED_STREAMS
#include <immintrin.h>
#endif

namespace pyembed {
namespace {

#if defined(PYEMBED_STREAMS)

// `to` and `from` are aligned to a line.
PYEMBED_INLINE void stream_line(char* to, const char* from) {
#if defined(__AVX512F__)
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to), *reinterpret_cast<const __m512i*>(from));
#else
    for (int part = 0; part < cache_line; part += 16)
        _mm_stream_si128(reinterpret_cast<__m128i*>(to + part),
                         *reinterpret_cast<const __m128i*>(from + part));
#endif
}

// Writes one value after the other to memory from `out` on, of any alignment, by way of a buffer of lines.
template <class T>
class LineStream {
  public:
    PYEMBED_INLINE explicit LineStream(T* out) {
        char* const first = reinterpret_cast<char*>(out);
        skipped_ = filled_ = static_cast<i64>(reinterpret_cast<uintptr_t>(out) & (cache_line - 1));
        line_ = first - skipped_;
    }

    PYEMBED_INLINE void write(const T* row, i64 dim) {
        in_pieces(dim, [row](i64 column, i64 count, T* to) {
            with_copy_of_row<T>(count, [&](auto copy) { copy(row + column, count, to); });
        });
    }
    PYEMBED_INLINE void write_zeros(i64 dim) {
        in_pieces(dim, [](i64, i64 count, T* to) { memset(to, 0, static_cast<size_t>(count) * sizeof(T)); });
    }

    // The rest, which is no whole line: others may write to the same one.
    PYEMBED_INLINE void finish() {
        flush();
        memcpy(line_ + skipped_, buffer_ + skipped_, static_cast<size_t>(filled_ - skipped_));
        _mm_sfence();  // before anything that tells another thread that the rows are there
    }

  private:
    static constexpr i64 enough = 32 * cache_line;
    static constexpr i64 columns_at_once = 16 * cache_line / sizeof(T);

    // Calls put(column, count, to) for pieces of a row that fit into the buffer.
    template <class Put>
    PYEMBED_INLINE void in_pieces(i64 dim, Put put) {
        for (i64 column = 0; column < dim; column += columns_at_once) {
            const i64 count = dim - column < columns_at_once ? dim - column : columns_at_once;
            put(column, count, reinterpret_cast<T*>(buffer_ + filled_));
            filled_ += count * static_cast<i64>(sizeof(T));
            if (filled_ >= enough) flush();
        }
    }

    PYEMBED_INLINE void flush() {
        i64 done = 0;
        if (skipped_ > 0 && filled_ >= cache_line) {  // what comes before `out` in its line is not ours
            memcpy(line_ + skipped_, buffer_ + skipped_, static_cast<size_t>(cache_line - skipped_));
            skipped_ = 0;
            done = cache_line;
        }
        for (; done + cache_line <= filled_; done += cache_line) stream_line(line_ + done, buffer_ + done);
        line_ += done;
        filled_ -= done;
        if (done > 0) memcpy(buffer_, buffer_ + done, cache_line);
    }

    alignas(64) char buffer_[enough + columns_at_once * sizeof(T) + cache_line];
    i64 filled_;   // bytes of the buffer, which stands for the memory from line_ on
    i64 skipped_;  // bytes at its start that are not to be written
    char* line_;
};

// out (n, dim), with nothing between its rows
template <class T>
void stream_rows(Rows<const T> table, const i64* rows, i64 n, i64 ahead, T* out) {
    const i64 distance = rows_ahead<T>(table.dim);
    LineStream<T> to(out);
    for (i64 i = 0; i < n; ++i) {
        prefetch_next(table, rows, i + distance, n + ahead);
        if (rows[i] >= 0)
            to.write(table.row(rows[i]), table.dim);
        else
            to.write_zeros(table.dim);
    }
    to.finish();
}

#else

template <class T>
void stream_rows(Rows<const T> table, const i64* rows, i64 n, i64 ahead, T* out) {
    copy_rows(table, rows, n, ahead, out, table.dim);
}

#endif

}  // namespace
}  // namespace pyembed
