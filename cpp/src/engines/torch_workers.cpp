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
    threads_.emplace_back([this, threads] { work(threads); });
  }
}

TorchWorkers::~TorchWorkers() {
  if (getpid() != process_) {  // a fork copies no threads: there is nobody to wait for
    for (std::thread& thread : threads_) thread.detach();
    return;
  }
  {
    const std::scoped_lock lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
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
    const std::scoped_lock lock(mutex_);
    waiting_.push_back(std::move(task));
  }
  changed_.notify_one();
  done.get();
}

void TorchWorkers::work(int threads) {
  use_threads(threads);
  while (true) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    std::packaged_task<void()> task = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    task();
  }
}

}  // namespace lunart
