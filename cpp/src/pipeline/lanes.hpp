// Work that does not depend on other work, on several threads, with its results in order.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace lunart {

// Calls job(lane, k) for k = 0 ... n - 1, in at most `lanes` threads at once (lane < lanes says
// which, for buffers), and finished(k, result) in the calling thread by rising k. With one lane
// everything runs in the calling thread. The first exception of either stops the rest and is
// thrown. Results that wait for an earlier one are few: no lane runs ahead by more than kAhead.
template <class Result>
void in_lanes(int lanes, std::size_t n, const std::function<Result(std::size_t, std::size_t)>& job,
              const std::function<void(std::size_t, Result)>& finished) {
  if (lanes <= 1 || n <= 1) {
    for (std::size_t k = 0; k < n; ++k) finished(k, job(0, k));
    return;
  }
  constexpr std::size_t kAhead = 16;
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t next = 0;
  std::size_t delivered = 0;
  bool stop = false;
  std::exception_ptr thrown;
  std::map<std::size_t, Result> ready;

  const auto fail = [&] {  // in a catch block, with the lock held
    if (!thrown) thrown = std::current_exception();
    stop = true;
    changed.notify_all();
  };
  const auto work = [&](std::size_t lane) {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [&] { return stop || next >= n || next < delivered + kAhead; });
      if (stop || next >= n) return;
      const std::size_t k = next++;
      lock.unlock();
      try {
        Result result = job(lane, k);
        lock.lock();
        ready.emplace(k, std::move(result));
        changed.notify_all();
      } catch (...) {
        if (!lock.owns_lock()) lock.lock();
        fail();
        return;
      }
    }
  };

  {
    std::vector<std::jthread> threads;  // joined at the end of this block
    std::unique_lock lock(mutex, std::defer_lock);
    try {
      for (std::size_t lane = 0; lane < static_cast<std::size_t>(lanes); ++lane) {
        threads.emplace_back(work, lane);
      }
      lock.lock();
      while (delivered < n && !stop) {
        changed.wait(lock, [&] { return stop || ready.contains(delivered); });
        if (stop) break;
        auto node = ready.extract(delivered);
        lock.unlock();
        finished(delivered, std::move(node.mapped()));
        lock.lock();
        ++delivered;
        changed.notify_all();
      }
    } catch (...) {
      if (!lock.owns_lock()) lock.lock();
      fail();
    }
    if (lock.owns_lock()) lock.unlock();
  }
  if (thrown) std::rethrow_exception(thrown);
}

// Threads for work without results, and what the calling thread does now and then meanwhile.
struct Lanes {
  int count{1};
  std::function<void()> tick{};  // may throw to stop the work

  // Calls job(k) for k = 0 ... n - 1; jobs write to different places.
  void each(std::size_t n, const std::function<void(std::size_t)>& job) const {
    in_lanes<char>(
        count, n,
        [&](std::size_t, std::size_t k) {
          job(k);
          return '\0';
        },
        [&](std::size_t, char) {
          if (tick) tick();
        });
  }
};

}  // namespace lunart
