#include "base/threads.h"

#include "base/fork.h"

namespace pyembed {
namespace {

std::atomic<int> chosen{0};    // 0: follow the host library
std::atomic<int> followed{0};  // 0: follow OpenMP

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

}  // namespace pyembed
