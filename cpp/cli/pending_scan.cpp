#include "cli/pending_scan.hpp"

#include <chrono>

namespace lunart::cli {

namespace {
using Clock = std::chrono::steady_clock;
}

PendingScan::PendingScan(const std::filesystem::path& path, const ReadOptions& options)
    : read_(std::async(std::launch::async, [this, path, options] {
        const auto begin = Clock::now();
        Volume volume = read_scan(path, options, [this] {
          if (stop_) throw Error(Errc::interrupted, "nobody waits for the scan any more");
        });
        return Read{std::move(volume), std::chrono::duration<double>(Clock::now() - begin).count()};
      })) {}

PendingScan::~PendingScan() {
  stop_ = true;
}

Result PendingScan::run(Runner& runner, const ProgressCallback& progress) {
  constexpr std::chrono::milliseconds kTick{50};
  progress({Stage::read, 0, 1});
  while (read_.wait_for(kTick) != std::future_status::ready) progress({Stage::read, 0, 1});
  const Read read = read_.get();
  progress({Stage::read, 1, 1});
  Result result = runner.run(read.volume, progress);
  result.timings_s.read += read.seconds;
  result.timings_s.total += read.seconds;
  return result;
}

}  // namespace lunart::cli
