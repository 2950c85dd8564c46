// The first scan is read while the networks are loaded.
#pragma once

#include <atomic>
#include <filesystem>
#include <future>

#include "lunart/runner.hpp"

namespace lunart::cli {

class FirstScan {
 public:
  explicit FirstScan(const std::filesystem::path& path);
  FirstScan(const FirstScan&) = delete;
  FirstScan& operator=(const FirstScan&) = delete;
  ~FirstScan();  // stops the reading

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
