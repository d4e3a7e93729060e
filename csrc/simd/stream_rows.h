// copy_rows for an output that is larger than the cache: whole lines are written past it, which saves reading
// them first.
#pragma once

#include <string.h>

#include "simd/copy_rows.h"

#if defined(__SSE2__) || defined(_M_X64)
#define PYEMBED_STREAMS
#include <immintrin.h>
#endif

namespace pyembed {
namespace {

#if defined(PYEMBED_STREAMS)

// `to` is aligned to a line.
PYEMBED_INLINE void stream_line(char* to, const char* from) {
#if defined(__AVX512F__)
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to), _mm512_loadu_si512(from));
#elif defined(__AVX2__)
    for (int part = 0; part < cache_line; part += 32)
        _mm256_stream_si256(reinterpret_cast<__m256i*>(to + part),
                            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + part)));
#else
    for (int part = 0; part < cache_line; part += 16)
        _mm_stream_si128(reinterpret_cast<__m128i*>(to + part),
                         _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + part)));
#endif
}

// Writes rows of a line or more, one after the other, to memory from `out` on, of any alignment. Only lines
// that two rows share are put together first.
class LineStream {
  public:
    PYEMBED_INLINE explicit LineStream(void* out) {
        char* const first = static_cast<char*>(out);
        carried_ = skipped_ = static_cast<i64>(reinterpret_cast<uintptr_t>(out) & (cache_line - 1));
        line_ = first - skipped_;
    }

    // `bytes` from `row` on
    PYEMBED_INLINE void write(const char* row, i64 bytes) {
        write_lines(bytes, [row](i64 byte) { return row + byte; });
    }
    PYEMBED_INLINE void write_zeros(i64 bytes) {
        alignas(64) static constexpr char zeros[cache_line] = {};
        write_lines(bytes, [](i64) { return &zeros[0]; });
    }

    // The rest, which is no whole line: others may write to the same one.
    PYEMBED_INLINE void finish() {
        memcpy(line_ + skipped_, shared() + skipped_, static_cast<size_t>(carried_ - skipped_));
        _mm_sfence();  // before anything that tells another thread that the rows are there
    }

  private:
    PYEMBED_INLINE char* shared() { return buffer_ + cache_line; }

    // line_at(byte): a line's length of the row from that byte on
    template <class LineAt>
    PYEMBED_INLINE void write_lines(i64 bytes, LineAt line_at) {
        memcpy(shared() + carried_, line_at(0), cache_line);
        write_shared_line();
        i64 done = cache_line - carried_;
        for (; done + cache_line <= bytes; done += cache_line) next_line(line_at(done));
        carry(line_at(bytes - cache_line), bytes - done);
    }

    PYEMBED_INLINE void write_shared_line() {
        if (skipped_ == 0) return next_line(shared());
        memcpy(line_ + skipped_, shared() + skipped_, static_cast<size_t>(cache_line - skipped_));
        line_ += cache_line;
        skipped_ = 0;
    }
    PYEMBED_INLINE void next_line(const char* from) {
        stream_line(line_, from);
        line_ += cache_line;
    }
    // Keeps the last `count` of the line at `last`: so moved, the others lie before the shared line.
    PYEMBED_INLINE void carry(const char* last, i64 count) {
        memcpy(buffer_ + count, last, cache_line);
        carried_ = count;
    }

    alignas(64) char buffer_[3 * cache_line];  // in the middle, the line that two rows share
    i64 carried_;                              // bytes of it that are there
    i64 skipped_;                              // bytes at its start that are not to be written
    char* line_;
};

// out (n, dim), with nothing between its rows, which are a line long or longer
template <class T>
void stream_rows(Rows<const T> table, const i64* rows, i64 n, i64 ahead, T* out) {
    const i64 distance = rows_ahead<T>(table.dim);
    const i64 fetched = rows_to_prefetch(table, n + ahead);
    const i64 bytes = table.dim * static_cast<i64>(sizeof(T));
    LineStream to(out);
    for (i64 i = 0; i < n; ++i) {
        prefetch_next(table, rows, i + distance, fetched);
        if (rows[i] >= 0)
            to.write(reinterpret_cast<const char*>(table.row(rows[i])), bytes);
        else
            to.write_zeros(bytes);
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
