#include "threads.hpp"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "lunart/error.hpp"

namespace lunart {
namespace {

namespace fs = std::filesystem;

constexpr int kMostThreads = 1024;
constexpr double kNoLimit = std::numeric_limits<double>::infinity();

int affinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

double ratio(double quota, double period) {
  return quota > 0 && period > 0 ? quota / period : kNoLimit;
}

// cgroup v2: "max 100000" or "150000 100000" (microseconds of processor time a period).
double quota_v2(const fs::path& group) {
  std::ifstream file(group / "cpu.max");
  double quota = 0;
  double period = 0;
  return file >> quota >> period ? ratio(quota, period) : kNoLimit;
}

// cgroup v1: a quota of -1 is none.
double quota_v1(const fs::path& group) {
  std::ifstream quota_file(group / "cpu.cfs_quota_us");
  std::ifstream period_file(group / "cpu.cfs_period_us");
  double quota = 0;
  double period = 0;
  return quota_file >> quota && period_file >> period ? ratio(quota, period) : kNoLimit;
}

// The least limit of a group and all groups above it, up to the mount.
double least_limit(const fs::path& mount, const fs::path& group, double (*quota)(const fs::path&)) {
  double least = quota(mount);
  fs::path at = mount;
  for (const fs::path& part : group.relative_path()) {
    at /= part;
    least = std::min(least, quota(at));
  }
  return least;
}

// Lines of /proc/self/cgroup: "0::/path" (v2), "4:cpu,cpuacct:/path" (v1). In a container the path
// may be the host's, which is not mounted: then the mount itself is the container's group.
double cgroup_limit(const fs::path& root) {
  double least = kNoLimit;
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string id;
    std::string controllers;
    std::string group;
    std::getline(words, id, ':');
    std::getline(words, controllers, ':');
    std::getline(words, group);
    const fs::path mounts = root / "sys/fs/cgroup";
    if (controllers.empty()) {
      least = std::min(least, least_limit(mounts, group, quota_v2));
    } else if (("," + controllers + ",").find(",cpu,") != std::string::npos) {
      least = std::min({least, least_limit(mounts / "cpu", group, quota_v1),
                        least_limit(mounts / controllers, group, quota_v1)});
    }
  }
  return least;
}

}  // namespace

int usable_processors(const fs::path& root) {
  const double limit = std::ceil(cgroup_limit(root));
  return limit < affinity() ? std::max(1, static_cast<int>(limit)) : affinity();
}

int thread_count(int wanted) {
  if (wanted < 0 || wanted > kMostThreads) {
    throw Error(Errc::usage, "threads is " + std::to_string(wanted) + "; expected 1 to " +
                                 std::to_string(kMostThreads) + ", or 0 for all processors");
  }
  return wanted == 0 ? usable_processors() : wanted;
}

}  // namespace lunart
