#include "cli/classify.hpp"

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "cli/output.hpp"
#include "cli/progress.hpp"
#include "lunart/classifier.hpp"

namespace lunart::cli {
namespace {

// Pictures that are in memory at once.
constexpr std::size_t kAtOnce = 64;

class Texts {
 public:
  explicit Texts(const Options& options) : options_(options) {}

  void add(const Classification& found) {
    const std::string json = to_json(found);
    json_ += (options_.scans.size() == 1 ? json : as_line(json)) + "\n";
    if (!options_.standard_output_is_taken()) print(to_table(found));
  }
  void deliver_json() const { deliver(options_.json, json_); }

 private:
  const Options& options_;
  std::string json_;
};

}  // namespace

void require_image_options(const Options& o) {
  if (o.of_scans.empty()) return;
  throw Error(Errc::usage, o.of_scans.front() + " is for scans, and " + o.runner.bundle.string() +
                               " classifies images; see luna_infer --help");
}

int classify(const Options& o) {
  require_image_options(o);
  Classifier classifier({.bundle = o.runner.bundle,
                         .engine = o.runner.engine,
                         .precision = o.runner.precision,
                         .threads = o.runner.threads});
  watch_interrupts();
  const Tick tick = interrupt_tick();
  Texts texts(o);
  int status = 0;
  std::vector<Image> images;
  const auto run = [&] {
    for (const Classification& found : classifier.classify(images, tick)) texts.add(found);
    images.clear();
  };
  for (const auto& path : o.scans) {
    tick();
    try {
      Image image = read_image(path);
      classifier.require_fits(image);
      images.push_back(std::move(image));
    } catch (const Error& error) {
      if (o.scans.size() == 1 || error.code() != Errc::scan) throw;
      std::fprintf(stderr, "luna_infer: error: %s\n", error.what());
      status = exit_code(error.code());
    }
    if (images.size() == kAtOnce) run();
  }
  run();
  texts.deliver_json();
  return status;
}

}  // namespace lunart::cli
