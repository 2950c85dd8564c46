#include "peak_memory.hpp"

#include <sys/resource.h>

#include <fstream>
#include <string>

namespace lunart {

// From the kernel's book on this program: getrusage also counts what the process held before it
// became this program, which is the size of whoever started it.
double peak_rss_mb() {
  std::ifstream status("/proc/self/status");
  for (std::string key; status >> key;) {
    double kib = 0;
    if (key == "VmHWM:" && status >> kib) return kib / 1024;
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;  // KiB, too
}

}  // namespace lunart
