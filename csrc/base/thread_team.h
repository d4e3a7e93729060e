// A team of std::threads in the place of OpenMP's, for builds with the thread sanitizer: it sees how these
// wait for each other, and would see nothing of that in an OpenMP runtime, which is not built with it.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace pyembed {

class ThreadTeam {
  public:
    // As `parallel`, in exactly `members` threads, of which the calling one is the first.
    template <class F>
    static void run(int members, F f) {
        ThreadTeam team(members);
        const auto work = [&](int member) {
            in_one() = true;
            f(member, members, [&] { team.wait(); });
            in_one() = false;
        };
        std::vector<std::thread> others;
        for (int member = 1; member < members; ++member) others.emplace_back(work, member);
        work(0);
        for (std::thread& other : others) other.join();
    }

    static bool is_in_one() { return in_one(); }

  private:
    static bool& in_one() {
        static thread_local bool is = false;
        return is;
    }

    explicit ThreadTeam(int members) : members_(members) {}

    void wait() {
        std::unique_lock<std::mutex> guard(mutex_);
        const int round = round_;
        if (++arrived_ == members_) {
            arrived_ = 0;
            ++round_;
            changed_.notify_all();
        }
        changed_.wait(guard, [&] { return round_ != round; });
    }

    const int members_;
    std::mutex mutex_;
    std::condition_variable changed_;
    int arrived_ = 0;
    int round_ = 0;
};

}  // namespace pyembed
