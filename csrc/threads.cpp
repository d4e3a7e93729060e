#include "threads.h"

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#define PYEMBED_HAS_FORK 1
#endif

namespace pyembed {
namespace {

std::atomic<int> chosen{0};  // 0: follow OpenMP
std::atomic<int> forks{0};

#if defined(PYEMBED_HAS_FORK)
[[maybe_unused]] const int fork_handler = pthread_atfork(nullptr, nullptr, [] { ++forks; });
#endif

}  // namespace

int max_threads() {
#if defined(_OPENMP)
    if (is_forked_child()) return 1;
    const int n = chosen.load(std::memory_order_relaxed);
    return n > 0 ? n : omp_get_max_threads();
#else
    return 1;
#endif
}

void set_max_threads(int n) {
    chosen = n;
}

bool is_forked_child() {
    return fork_generation() > 0;
}

int fork_generation() {
    return forks.load(std::memory_order_relaxed);
}

}  // namespace pyembed
