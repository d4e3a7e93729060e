// Lookups share a table, a step has it alone.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "base/fork.h"

namespace pyembed {

// A lock for many readers or one writer. A writer that waits keeps new readers out, so that lookups in a loop
// cannot starve a step. In a forked child the lock starts afresh: who held it in the parent does not exist
// there. std::shared_mutex promises neither.
class TableLock {
    struct State {
        const int generation = fork_generation();
        std::mutex mutex;
        std::condition_variable changed;
        int readers = 0;
        int waiting_writers = 0;
        bool written = false;
    };

  public:
    class Shared {
      public:
        explicit Shared(TableLock& lock) : state_(lock.state()) {
            std::unique_lock<std::mutex> guard(state_.mutex);
            state_.changed.wait(guard, [&] { return !state_.written && state_.waiting_writers == 0; });
            ++state_.readers;
        }
        ~Shared() {
            const std::lock_guard<std::mutex> guard(state_.mutex);
            if (--state_.readers == 0 && state_.waiting_writers > 0) state_.changed.notify_all();
        }
        Shared(const Shared&) = delete;
        Shared& operator=(const Shared&) = delete;

      private:
        State& state_;
    };

    class Alone {
      public:
        explicit Alone(TableLock& lock) : state_(lock.state()) {
            std::unique_lock<std::mutex> guard(state_.mutex);
            ++state_.waiting_writers;
            state_.changed.wait(guard, [&] { return !state_.written && state_.readers == 0; });
            --state_.waiting_writers;
            state_.written = true;
        }
        ~Alone() {
            const std::lock_guard<std::mutex> guard(state_.mutex);
            state_.written = false;
            state_.changed.notify_all();
        }
        Alone(const Alone&) = delete;
        Alone& operator=(const Alone&) = delete;

      private:
        State& state_;
    };

    TableLock() = default;
    ~TableLock() {
        const State* const state = state_.load();
        if (state->generation == fork_generation()) delete state;
    }
    TableLock(const TableLock&) = delete;
    TableLock& operator=(const TableLock&) = delete;

  private:
    // The first call in a forked child makes a new state. Several threads may call at once: one state wins.
    // The parent's is given up as it is: its mutex may be locked for ever, and to destroy its condition
    // variable could be to wait for threads that do not exist here.
    State& state() {
        State* seen = state_.load();
        if (seen->generation == fork_generation()) return *seen;
        auto fresh = std::make_unique<State>();
        return state_.compare_exchange_strong(seen, fresh.get()) ? *fresh.release() : *seen;
    }

    std::atomic<State*> state_{new State};
};

}  // namespace pyembed
