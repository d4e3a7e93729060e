// How fast this machine's memory is at its best: the loops that roofline.py times. No part of pyembed.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <limits>
#include <thread>
#include <vector>

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

#if defined(_WIN32)
#define EXPORTED extern "C" __declspec(dllexport)
#else
#define EXPORTED extern "C"
#endif

namespace {

constexpr int64_t line = 64;  // bytes; targets start at a multiple of it

// Copies [begin, end), past the caches where the processor lets us say so.
void stream(char* target, const char* source, int64_t begin, int64_t end) {
#if defined(__x86_64__) || defined(_M_X64)
    for (int64_t at = begin; at < end; at += 16) {
        const __m128i piece = _mm_loadu_si128(reinterpret_cast<const __m128i*>(source + at));
        _mm_stream_si128(reinterpret_cast<__m128i*>(target + at), piece);
    }
    _mm_sfence();
#else
    std::memcpy(target + begin, source + begin, static_cast<size_t>(end - begin));
#endif
}

// Locality as in __builtin_prefetch: 3 brings a row into all caches, 2 leaves the nearest out.
template <int locality>
void prefetch_row(const char* row, int64_t row_bytes) {
#if defined(__GNUC__)
    for (int64_t at = 0; at < row_bytes; at += line) __builtin_prefetch(row + at, 0, locality);
#else
    (void)row, (void)row_bytes;
#endif
}

// Something that depends on every byte of a row.
uint64_t read_row(const char* row, int64_t row_bytes) {
    uint64_t all = 0;
    int64_t at = 0;
    for (; at + 8 <= row_bytes; at += 8) {
        uint64_t word;
        std::memcpy(&word, row + at, 8);
        all ^= word;
    }
    for (; at < row_bytes; ++at) all ^= static_cast<unsigned char>(row[at]);
    return all;
}

// Seconds of the fastest round. The threads begin a round together, and the last one ends it.
template <class Work>
double fastest(int threads, int rounds, Work work) {
    std::atomic<int> arrivals{0};
    const auto meet = [&](int meeting) {
        ++arrivals;
        while (arrivals < meeting * threads) std::this_thread::yield();
    };
    double best = std::numeric_limits<double>::infinity();
    const auto take_part = [&](int thread) {
        for (int round = 0; round < rounds; ++round) {
            const auto start = std::chrono::steady_clock::now();  // before anyone begins
            meet(2 * round + 1);
            work(thread);
            meet(2 * round + 2);
            const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
            if (thread == 0) best = std::min(best, taken.count());
        }
    };
    std::vector<std::thread> others;
    for (int thread = 1; thread < threads; ++thread) others.emplace_back(take_part, thread);
    take_part(0);
    for (std::thread& other : others) other.join();
    return best;
}

template <int locality>
uint64_t read_rows(const char* table, int64_t row_bytes, const int64_t* ids, int64_t begin, int64_t end,
                   int64_t ahead) {
    uint64_t all = 0;
    for (int64_t at = begin; at < end; ++at) {
        prefetch_row<locality>(table + ids[std::min(at + ahead, end - 1)] * row_bytes, row_bytes);
        all ^= read_row(table + ids[at] * row_bytes, row_bytes);
    }
    return all;
}

}  // namespace

// source and target are (bytes,), a multiple of 64; target starts at a multiple of 64.
EXPORTED double copy_seconds(char* target, const char* source, int64_t bytes, int threads, int rounds) {
    const int64_t lines = bytes / line;
    return fastest(threads, rounds, [=](int thread) {
        stream(target, source, line * (lines * thread / threads), line * (lines * (thread + 1) / threads));
    });
}

// table is (rows, row_bytes), ids are (count,); a row is asked for `ahead` rows before it is read,
// into all caches or into the outer ones only. What was seen depends on all that was read.
EXPORTED double read_seconds(const char* table, int64_t row_bytes, const int64_t* ids, int64_t count,
                             int64_t ahead, bool outer_only, int threads, int rounds, uint64_t* seen) {
    const auto read = outer_only ? read_rows<2> : read_rows<3>;
    std::atomic<uint64_t> everything{0};
    const double seconds = fastest(threads, rounds, [&](int thread) {
        const int64_t begin = count * thread / threads, end = count * (thread + 1) / threads;
        everything ^= read(table, row_bytes, ids, begin, end, ahead);
    });
    *seen = everything;
    return seconds;
}
