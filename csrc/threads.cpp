#include "threads.h"

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#define PYEMBED_HAS_FORK 1
#endif

namespace pyembed {
namespace {

std::atomic<int> chosen{0};    // 0: follow the host library
std::atomic<int> followed{0};  // 0: follow OpenMP
std::atomic<int> forks{0};

#if defined(PYEMBED_HAS_FORK)
[[maybe_unused]] const int fork_handler = pthread_atfork(nullptr, nullptr, [] { ++forks; });
#endif

}  // namespace

int max_threads() {
#if defined(_OPENMP)
    if (is_forked_child()) return 1;
    for (const std::atomic<int>* said : {&chosen, &followed}) {
        const int n = said->load(std::memory_order_relaxed);
        if (n > 0) return n;
    }
    return omp_get_max_threads();
#else
    return 1;
#endif
}

void set_max_threads(int n) {
    chosen = n;
}

void follow_max_threads(int n) {
    followed = n;
}

bool is_forked_child() {
    return fork_generation() > 0;
}

int fork_generation() {
    return forks.load(std::memory_order_relaxed);
}

}  // namespace pyembed
