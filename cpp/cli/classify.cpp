#include "cli/classify.hpp"

#include <unistd.h>

#include <cstdio>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "cli/output.hpp"
#include "cli/progress.hpp"
#include "lunart/classifier.hpp"
#include "lunart/report.hpp"

namespace lunart::cli {
namespace {

// Pictures that are in memory at once: so many, or so many bytes of pixels.
constexpr std::size_t kMostImages = 64;
constexpr std::size_t kMostBytes = std::size_t{1} << 28U;

class Pictures {
 public:
  explicit Pictures(const Options& options)
      : options_(options),
        classifier_({.bundle = options.runner.bundle,
                     .engine = options.runner.engine,
                     .precision = options.runner.precision,
                     .threads = options.runner.threads}),
        progress_(progress_of(shows_progress(options) ? options.progress : ProgressStyle::none)) {}

  void add(const std::filesystem::path& path) {
    report();
    try {
      Image image = read_image(path);
      classifier_.require_fits(image);
      bytes_ += image.rgb.size();
      images_.push_back(std::move(image));
    } catch (const Error& error) {
      // One bad picture among many must not lose the others.
      if (options_.scans.size() == 1 || error.code() != Errc::scan) throw;
      std::fprintf(stderr, "luna_infer: error: %s\n", error.what());
      status_ = exit_code(error.code());
      ++done_;
    }
    if (images_.size() == kMostImages || bytes_ >= kMostBytes) classify();
  }

  void classify() {
    for (const Classification& found : classifier_.classify(images_, interrupt_tick())) {
      const std::string json = to_json(found);
      json_ += (options_.wants_json_lines() ? as_line(json) : json) + "\n";
      if (!options_.standard_output_is_taken()) print(to_table(found));
    }
    done_ += images_.size();
    images_.clear();
    bytes_ = 0;
    report();
  }

  [[nodiscard]] const std::string& json() const { return json_; }
  [[nodiscard]] int status() const { return status_; }

 private:
  // Where no table appears that shows it anyway.
  static bool shows_progress(const Options& o) {
    return o.scans.size() > 1 && (o.standard_output_is_taken() || isatty(STDOUT_FILENO) == 0);
  }

  void report() const { progress_({Stage::classify, done_, options_.scans.size()}); }

  const Options& options_;
  Classifier classifier_;
  ProgressCallback progress_;
  std::vector<Image> images_;
  std::size_t bytes_{};
  std::size_t done_{};
  std::string json_;
  int status_{0};
};

}  // namespace

void require_image_options(const Options& o) {
  if (o.of_scans.empty()) return;
  throw Error(Errc::usage, o.of_scans.front() + " is for scans, and " + o.runner.bundle.string() +
                               " classifies images; see luna_infer --help");
}

int classify(const Options& o) {
  require_image_options(o);
  Pictures pictures(o);
  watch_interrupts();
  std::optional<Error> stop;
  try {
    for (const auto& path : o.scans) pictures.add(path);
    pictures.classify();
  } catch (const Error& error) {
    stop = error;
  } catch (const std::bad_alloc&) {
    stop = Error(Errc::internal, "out of memory; fewer or smaller pictures need less");
  }
  // What was found before the run ended is not lost.
  if (!pictures.json().empty() || !stop) deliver(o.json, pictures.json());
  if (stop) throw *stop;
  return pictures.status();
}

}  // namespace lunart::cli
