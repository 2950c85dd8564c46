#include "engines/torch_workers.hpp"

#include <ATen/Parallel.h>

#include <utility>

#include "lunart/error.hpp"

namespace lunart {
namespace {

// For the calling thread only. at::set_num_threads also changes what threads made later begin with;
// a passing thread puts that back, for it can do so without changing any other.
void use_threads(int threads) {
  static std::mutex one_at_a_time;
  const std::scoped_lock lock(one_at_a_time);
  const int others = at::get_num_threads();  // what this new thread began with
  at::set_num_threads(threads);
  std::thread([others] { at::set_num_threads(others); }).join();
}

}  // namespace

TorchWorkers::TorchWorkers(int lanes, int threads) {
  for (int lane = 0; lane < lanes; ++lane) {
    state_->threads.emplace_back([&state = *state_, threads] { work(state, threads); });
  }
}

TorchWorkers::~TorchWorkers() {
  if (getpid() != process_) {
    // A fork copies no threads: who waited for them, or destroyed what they wait on, would hang.
    static_cast<void>(state_.release());
    return;
  }
  {
    const std::scoped_lock lock(state_->mutex);
    state_->stop = true;
  }
  state_->changed.notify_all();
  for (std::thread& thread : state_->threads) thread.join();
}

void TorchWorkers::run(std::function<void()> job) {
  if (getpid() != process_) {
    throw Error(Errc::engine,
                "libtorch's threads did not survive a fork; load the bundle in the process that "
                "runs it");
  }
  std::packaged_task<void()> task(std::move(job));
  std::future<void> done = task.get_future();
  {
    const std::scoped_lock lock(state_->mutex);
    state_->waiting.push_back(std::move(task));
  }
  state_->changed.notify_one();
  done.get();
}

void TorchWorkers::work(State& state, int threads) {
  use_threads(threads);
  while (true) {
    std::unique_lock lock(state.mutex);
    state.changed.wait(lock, [&state] { return state.stop || !state.waiting.empty(); });
    if (state.waiting.empty()) return;
    std::packaged_task<void()> task = std::move(state.waiting.front());
    state.waiting.pop_front();
    lock.unlock();
    task();
  }
}

}  // namespace lunart
