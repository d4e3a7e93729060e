// Teams of threads: how many, and how work is dealt to them. Serial where OpenMP is not compiled in.
#pragma once

#include <algorithm>
#include <atomic>

#include "base/views.h"

#if defined(_OPENMP)
#include <omp.h>
#endif
#if defined(PYEMBED_THREAD_TEAM)
#include "base/thread_team.h"
#endif

namespace pyembed {

// The most threads that a call may use: what set_num_threads said, else what the host library that is
// followed uses itself, else what OpenMP's settings say.
int max_threads();
void set_max_threads(int n);
void follow_max_threads(int n);

// How many threads pay for `bytes` of memory traffic. Waking one that sleeps takes some ten microseconds, and
// more where another library's idle threads spin on its core: small calls are left to the calling thread.
inline int threads_for(i64 bytes) {
    constexpr i64 worth_a_thread = 512 << 10;
    if (bytes < 2 * worth_a_thread) return 1;
    return static_cast<int>(std::min<i64>(bytes / worth_a_thread, max_threads()));
}

// Calls f(member, members, barrier) once in every thread of a team of at most `threads`; barrier() waits for
// the whole team. A thread that is in a team already calls it alone. f must not throw.
template <class F>
void parallel(int threads, F f) {
#if defined(PYEMBED_THREAD_TEAM)
    if (threads > 1 && !ThreadTeam::is_in_one()) return ThreadTeam::run(threads, f);
#elif defined(_OPENMP)
    if (threads > 1 && !omp_in_parallel()) {
        const auto barrier = [] {
#pragma omp barrier
        };
#pragma omp parallel num_threads(threads)
        f(omp_get_thread_num(), omp_get_num_threads(), barrier);
        return;
    }
#endif
    f(0, 1, [] {});
}

// Deals [0, n) out in blocks, each to the next thread that is free: f(begin, end, member).
template <class F>
void parallel_blocks(i64 n, i64 block, int threads, F f) {
    const i64 blocks = (n + block - 1) / block;
    std::atomic<i64> next{0};
    // Relaxed: a block may rely on nothing that another wrote, and the thread sanitizer sees where one does.
    const auto take = [&] { return next.fetch_add(1, std::memory_order_relaxed); };
    parallel(static_cast<int>(std::min<i64>(threads, blocks)), [&](int member, int, auto) {
        for (i64 b = take(); b < blocks; b = take()) f(b * block, std::min(n, (b + 1) * block), member);
    });
}

// As many rows as fit a core's own cache where one is of so many bytes.
inline i64 rows_in_range(i64 row_bytes) {
    return 1 + (256 << 10) / (row_bytes + 1);
}

// The same for ranges that cover the rows [0, rows), each of so many.
template <class F>
void parallel_row_ranges(i64 rows, i64 row_bytes, int threads, F f) {
    parallel_blocks(rows, rows_in_range(row_bytes), threads, f);
}

// value = min(value, candidate)
inline void lower_to(std::atomic<i64>& value, i64 candidate) {
    i64 seen = value.load();
    while (candidate < seen && !value.compare_exchange_weak(seen, candidate)) {
    }
}

}  // namespace pyembed
