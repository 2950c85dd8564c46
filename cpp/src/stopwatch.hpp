// Wall time of stages.
#pragma once

#include <chrono>

namespace lunart {

class Stopwatch {
 public:
  // Seconds since the last call, or since it was made.
  double lap() {
    const auto now = Clock::now();
    const std::chrono::duration<double> past = now - last_;
    last_ = now;
    return past.count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point last_{Clock::now()};
};

}  // namespace lunart
