// How many threads a run may use.
#pragma once

namespace lunart {

// 0 becomes every processor that this process may use (taskset and cpusets respected). Throws
// Errc::usage for a number that makes no sense.
[[nodiscard]] int thread_count(int wanted);

}  // namespace lunart
