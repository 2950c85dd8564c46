#include "cli/progress.hpp"

#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <string>
#include <string_view>

namespace lunart::cli {
namespace {

using Clock = std::chrono::steady_clock;

volatile std::sig_atomic_t interrupted = 0;

void throw_when_interrupted() {
  if (interrupted != 0) throw Error(Errc::interrupted, "interrupted before the work was finished");
}

double seconds_since(Clock::time_point then) {
  return std::chrono::duration<double>(Clock::now() - then).count();
}

class Reporter {
 public:
  explicit Reporter(ProgressStyle style) : style_(style), terminal_(isatty(STDERR_FILENO) == 1) {}

  void operator()(const Progress& p) {
    throw_when_interrupted();
    if (style_ == ProgressStyle::none) return;
    const bool first = shown_ == Clock::time_point{} || p.stage != stage_;
    if (first) {
      stage_began_ = Clock::now();
      stage_ = p.stage;
      stage_done_ = 0;
    }
    const bool last = p.total > 0 && p.done == p.total;
    // The first step that is done tells how long a start takes.
    const bool step = p.done > 0 && stage_done_ == 0;
    stage_done_ = p.done;
    const double pause = terminal_ ? 0.1 : 2;
    if (!first && !step && !last && seconds_since(shown_) < pause) return;
    shown_ = Clock::now();
    show(p, last);
  }

 private:
  void show(const Progress& p, bool last) const {
    const double past = seconds_since(stage_began_);
    const double left =
        p.done == 0 ? -1
                    : past * static_cast<double>(p.total - p.done) / static_cast<double>(p.done);
    const std::string stage(to_string(p.stage));
    if (style_ == ProgressStyle::json) {
      std::fprintf(stderr, "{\"stage\": \"%s\", \"done\": %zu, \"total\": %zu, \"eta_s\": %s}\n",
                   stage.c_str(), p.done, p.total,
                   left < 0 ? "null" : std::to_string(left).c_str());
      return;
    }
    std::string text = stage + " " + std::to_string(p.done) + "/" + std::to_string(p.total);
    if (left >= 0) {
      std::array<char, 48> time{};
      std::snprintf(time.data(), time.size(), last ? ", %.1f s" : ", %.0f s left",
                    last ? past : left);
      text += time.data();
    }
    std::fprintf(stderr, terminal_ ? "\r\033[K%s%s" : "%s%s\n", text.c_str(),
                 terminal_ && last ? "\n" : "");
  }

  ProgressStyle style_;
  bool terminal_;
  Stage stage_{Stage::read};
  std::size_t stage_done_{};
  Clock::time_point stage_began_{Clock::now()};
  Clock::time_point shown_{};
};

}  // namespace

void stop_on_interrupt() {
  std::signal(SIGINT, [](int) {
    constexpr std::string_view kText = "luna_infer: error: interrupted\n";
    [[maybe_unused]] const auto written = write(STDERR_FILENO, kText.data(), kText.size());
    _exit(exit_code(Errc::interrupted));
  });
}

void watch_interrupts() {
  std::signal(SIGINT, [](int) {
    interrupted = 1;
    std::signal(SIGINT, SIG_DFL);
  });
}

Tick interrupt_tick() {
  return throw_when_interrupted;
}

ProgressCallback progress_of(ProgressStyle style) {
  return Reporter(style);
}

}  // namespace lunart::cli
