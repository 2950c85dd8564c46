// Threads that run networks in libtorch, each with its own number of OpenMP threads. libtorch's
// number belongs partly to the thread that sets it and partly to the process, and setting it anew
// for every call costs its primitive caches; so it is set once in threads that are ours, and a host
// program's own never changes.
#pragma once

#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "engines/engine.hpp"

namespace lunart {

class TorchWorkers {
 public:
  // So many jobs at once, each with so many threads.
  TorchWorkers(int lanes, int threads);
  TorchWorkers(const TorchWorkers&) = delete;
  TorchWorkers& operator=(const TorchWorkers&) = delete;
  ~TorchWorkers();

  // Waits for the job, and throws what it throws.
  void run(std::function<void()> job);

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::packaged_task<void()>> waiting;
    bool stop{false};
    std::vector<std::thread> threads;
  };
  static void work(State& state, int threads);

  std::unique_ptr<State> state_{std::make_unique<State>()};
  pid_t process_{getpid()};
};

// A network whose calls run `forward(input)` in workers; an engine's networks share `workers`,
// which are made for the first.
template <class Forward>
[[nodiscard]] Network network_in(std::shared_ptr<TorchWorkers>& workers,
                                 const EngineSettings& settings, std::size_t batch,
                                 Forward forward) {
  if (!workers) {
    workers = std::make_shared<TorchWorkers>(settings.lanes(), settings.threads_a_lane());
  }
  return {.run =
              [workers, forward](const TensorView& input) {
                std::vector<Tensor> outputs;
                workers->run([&] { outputs = forward(input); });
                return outputs;
              },
          .lanes = settings.lanes(),
          .batch = batch};
}

}  // namespace lunart
