// How many threads a run may use.
#pragma once

#include <filesystem>

namespace lunart {

// 0 becomes every processor that this process may use. Throws Errc::usage for a number that makes
// no sense.
[[nodiscard]] int thread_count(int wanted);

// Processors that this process may use: what taskset and cpusets leave it, and no more than its
// control groups' CPU quota (a container's limit), rounded up. `root` is where /proc and /sys are.
[[nodiscard]] int usable_processors(const std::filesystem::path& root = "/");

}  // namespace lunart
