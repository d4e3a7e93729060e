#include "base/fork.h"

#include <atomic>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#define PYEMBED_HAS_FORK 1
#endif

namespace pyembed {
namespace {

std::atomic<int> forks{0};

#if defined(PYEMBED_HAS_FORK)
[[maybe_unused]] const int fork_handler = pthread_atfork(nullptr, nullptr, [] { ++forks; });
#endif

}  // namespace

int fork_generation() {
    return forks.load(std::memory_order_relaxed);
}

}  // namespace pyembed
