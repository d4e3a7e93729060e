#include "python/no_gil.h"

#include <atomic>
#include <chrono>
#include <thread>

namespace pyembed {
namespace {

std::atomic<int> returning{0};
std::atomic<bool> is_ending{false};
std::atomic<std::thread::id> ending_thread;

[[noreturn]] void sleep_for_ever() {
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
}

}  // namespace

NoGil::~NoGil() {
    ++returning;
    if (is_ending && ending_thread.load() != std::this_thread::get_id()) {
        --returning;
        sleep_for_ever();
    }
    PyEval_RestoreThread(state_);
    --returning;
}

void await_returns() {
    ending_thread = std::this_thread::get_id();
    is_ending = true;
    // Of a thread that a fork left behind nothing returns: the wait has an end.
    PyThreadState* const state = PyEval_SaveThread();
    for (int tries = 0; returning > 0 && tries < 1000; ++tries)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    PyEval_RestoreThread(state);
}

}  // namespace pyembed
