// A scan is read in a thread of its own: the first one while the networks are loaded, and each so
// that Ctrl-C is heard meanwhile.
#pragma once

#include <atomic>
#include <filesystem>
#include <future>

#include "lunart/runner.hpp"

namespace lunart::cli {

class PendingScan {
 public:
  PendingScan(const std::filesystem::path& path, const ReadOptions& options);
  PendingScan(const PendingScan&) = delete;
  PendingScan& operator=(const PendingScan&) = delete;
  ~PendingScan();  // stops the reading

  // Waits for the scan, reporting Stage::read, and runs it; once. Throws as Runner::run does.
  // `timings_s.read` is what the reading took, side by side with other work or not.
  [[nodiscard]] Result run(Runner& runner, const ProgressCallback& progress);

 private:
  struct Read {
    Volume volume;
    double seconds{};
  };
  std::atomic<bool> stop_{false};
  std::future<Read> read_;  // joined before stop_ goes
};

}  // namespace lunart::cli
