// What long work without the GIL calls so that Ctrl-C works: takes the GIL now and then and lets
// Python run its signal handlers. Their exception passes unchanged.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>

#include "lunart/volume.hpp"

namespace lunart {

[[nodiscard]] inline Tick signal_tick() {
  using Clock = std::chrono::steady_clock;
  return [last = Clock::now()]() mutable {
    // Taking the GIL may wait for another thread: not at every mebibyte.
    constexpr std::chrono::milliseconds kInterval{100};
    const auto now = Clock::now();
    if (now - last < kInterval) return;
    last = now;
    const pybind11::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw pybind11::error_already_set();
  };
}

}  // namespace lunart
