#include "threads.hpp"

#include <sched.h>

#include <algorithm>
#include <string>

#include "lunart/error.hpp"

namespace lunart {
namespace {

constexpr int kMostThreads = 1024;

int usable_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

}  // namespace

int thread_count(int wanted) {
  if (wanted < 0 || wanted > kMostThreads) {
    throw Error(Errc::usage, "threads is " + std::to_string(wanted) + "; expected 1 to " +
                                 std::to_string(kMostThreads) + ", or 0 for all processors");
  }
  return wanted == 0 ? usable_processors() : wanted;
}

}  // namespace lunart
