#include "lunart/classifier.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "bundle/bundle.hpp"
#include "bundle/sha256.hpp"
#include "image/limits.hpp"
#include "image/preprocess.hpp"
#include "io/text.hpp"
#include "networks.hpp"
#include "peak_memory.hpp"
#include "pipeline/lanes.hpp"
#include "stopwatch.hpp"
#include "threads.hpp"

namespace lunart {
namespace {

constexpr const char* kModel = "classification";

std::string name_of(const Image& image) {
  return image.path.empty() ? "the picture" : shown(image.path);
}

std::string text_of(ImageSize size) {
  return std::to_string(size.rows) + "x" + std::to_string(size.cols);
}

void require_consistent(const Image& image) {
  require_reasonable(image.rows, image.cols, name_of(image));
  if (image.rgb.size() == static_cast<std::size_t>(3 * image.rows * image.cols)) return;
  throw Error(Errc::scan, name_of(image) + ": holds " + std::to_string(image.rgb.size()) +
                              " values, and " + text_of({image.rows, image.cols}) +
                              " RGB pixels have three each");
}

// Of pictures that became the same size, one row of probabilities each.
struct Answers {
  std::vector<std::vector<double>> probabilities;
  std::vector<double> preprocess_s;
  double classify_s{};  // a picture's share
};

std::vector<ClassProbability> by_falling_probability(const std::vector<std::string>& names,
                                                     const std::vector<double>& probabilities) {
  std::vector<ClassProbability> classes;
  for (std::size_t k = 0; k < names.size(); ++k) classes.push_back({names[k], probabilities[k]});
  std::ranges::stable_sort(classes, std::greater{}, &ClassProbability::probability);
  return classes;
}

}  // namespace

class Classifier::Impl {
 public:
  explicit Impl(const ClassifierOptions& options) {
    Stopwatch watch;
    const int threads = thread_count(options.threads);
    bundle_ = open_bundle(options.bundle);
    require_task(bundle_, BundleTask::image_classification);
    loaded_ = networks_of(
        bundle_, {.engine = options.engine, .precision = options.precision, .threads = threads},
        options.callable);
    load_s_ = watch.lap();
  }

  void require_fits(const Image& image) const {
    require_consistent(image);
    const ImageSettings& s = settings();
    const ImageSize made = size_of(image);
    if (made.rows > kMostSide || made.cols > kMostSide || made.rows * made.cols > kMostPixels) {
      throw Error(Errc::scan, name_of(image) + ": is " + text_of({image.rows, image.cols}) +
                                  " pixels and would become " + text_of(made) +
                                  "; it is too narrow for this bundle");
    }
    const bool fits = made.rows == s.rows.value_or(made.rows) &&
                      made.cols == s.cols.value_or(made.cols) && made.rows % s.multiple_of == 0 &&
                      made.cols % s.multiple_of == 0;
    if (fits) return;
    const auto side = [&](const std::optional<std::int64_t>& n) {
      return n ? std::to_string(*n) : "any multiple of " + std::to_string(s.multiple_of);
    };
    throw Error(
        Errc::scan,
        name_of(image) + ": is " + text_of({image.rows, image.cols}) + " pixels" +
            (made == ImageSize{image.rows, image.cols} ? "" : " and becomes " + text_of(made)) +
            ", and the network of " + bundle_.folder.string() + " takes " + side(s.rows) +
            " rows and " + side(s.cols) + " columns: resize it first");
  }

  std::vector<Classification> classify(std::span<const Image> images, const Tick& tick) const {
    for (const Image& image : images) require_fits(image);
    const std::vector<std::span<const Image>> batches = batches_of(images);
    std::vector<Classification> all;
    all.reserve(images.size());
    in_lanes<Answers>(
        network().lanes, batches.size(),
        [&](std::size_t, std::size_t k) { return run(batches[k]); },
        [&](std::size_t k, const Answers& answers) {
          for (std::size_t j = 0; j < batches[k].size(); ++j) {
            all.push_back(result_of(batches[k][j], answers, j));
          }
          if (tick) tick();
        });
    return all;
  }

 private:
  [[nodiscard]] const ImageSettings& settings() const { return bundle_.manifest.images; }
  [[nodiscard]] const Network& network() const { return loaded_.networks.at(kModel); }

  [[nodiscard]] ImageSize size_of(const Image& image) const {
    return size_after(settings().preprocess, {image.rows, image.cols});
  }

  // Neighbours that become the same size, so many that every lane has work and that their pixels
  // stay some megabytes.
  [[nodiscard]] std::vector<std::span<const Image>> batches_of(std::span<const Image> left) const {
    constexpr std::size_t kMostImages = 32;
    constexpr std::size_t kPixelsABatch = std::size_t{1} << 22U;
    const auto lanes = static_cast<std::size_t>(network().lanes);
    const std::size_t fair = (left.size() + lanes - 1) / lanes;
    std::vector<std::span<const Image>> batches;
    while (!left.empty()) {
      const ImageSize size = size_of(left.front());
      const std::size_t few =
          std::max<std::size_t>(1, kPixelsABatch / static_cast<std::size_t>(size.rows * size.cols));
      const std::size_t most =
          std::min({few, fair, kMostImages, settings().most_a_batch, left.size()});
      std::size_t n = 1;
      while (n < most && size_of(left[n]) == size) ++n;
      batches.push_back(left.first(n));
      left = left.subspan(n);
    }
    return batches;
  }

  [[nodiscard]] Answers run(std::span<const Image> batch) const {
    const ImageSize size = size_of(batch.front());
    const auto values = static_cast<std::size_t>(3 * size.rows * size.cols);
    std::vector<float> input(batch.size() * values);
    Answers answers;
    Stopwatch watch;
    for (std::size_t k = 0; k < batch.size(); ++k) {
      preprocess(batch[k], settings().preprocess, std::span(input).subspan(k * values, values));
      answers.preprocess_s.push_back(watch.lap());
    }
    const std::array<std::int64_t, 4> shape{static_cast<std::int64_t>(batch.size()), 3, size.rows,
                                            size.cols};
    answers.probabilities = rows_of(network().run({shape, input}), batch.size());
    answers.classify_s = watch.lap() / static_cast<double>(batch.size());
    return answers;
  }

  [[nodiscard]] std::vector<std::vector<double>> rows_of(const std::vector<Tensor>& outputs,
                                                         std::size_t batch) const {
    const std::size_t classes = settings().classes.size();
    const std::size_t which = settings().probability_output;
    const std::vector<std::int64_t> expected{static_cast<std::int64_t>(batch),
                                             static_cast<std::int64_t>(classes)};
    if (outputs.size() <= which || outputs[which].shape != expected) {
      throw Error(Errc::engine,
                  "the network returned " + std::to_string(outputs.size()) +
                      " outputs or another shape; expected probability of " +
                      std::to_string(batch) + "x" + std::to_string(classes) +
                      "; the artifact does not fit the manifest (run luna_infer --selfcheck)");
    }
    const std::vector<float>& all = outputs[which].data;
    if (!std::ranges::all_of(all, [](float p) { return std::isfinite(p); })) {
      throw Error(Errc::engine,
                  "the network returned a probability that is not a number; run luna_infer "
                  "--selfcheck");
    }
    std::vector<std::vector<double>> rows;
    for (auto row = all.begin(); row != all.end(); row += static_cast<std::ptrdiff_t>(classes)) {
      rows.emplace_back(row, row + static_cast<std::ptrdiff_t>(classes));
    }
    return rows;
  }

  [[nodiscard]] Classification result_of(const Image& image, const Answers& answers,
                                         std::size_t k) const {
    Classification found;
    found.path = image.path;
    found.rows = image.rows;
    found.cols = image.cols;
    found.decoded_sha256 = sha256(std::as_bytes(std::span(image.rgb)));
    found.bundle_name = bundle_.manifest.name;
    found.bundle_sha256 = bundle_.sha256;
    found.engine = loaded_.info;
    found.classes = by_falling_probability(settings().classes, answers.probabilities[k]);
    found.timings_s = {.load = load_s_,
                       .read = image.read_s,
                       .preprocess = answers.preprocess_s[k],
                       .classify = answers.classify_s};
    ClassificationTimings& t = found.timings_s;
    t.total = t.read + t.preprocess + t.classify;
    found.peak_rss_mb = peak_rss_mb();
    found.warnings = loaded_.warnings;
    found.warnings.insert(found.warnings.end(), image.warnings.begin(), image.warnings.end());
    return found;
  }

  Bundle bundle_;
  LoadedNetworks loaded_;
  double load_s_{};
};

Classifier::Classifier(const ClassifierOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Classifier::~Classifier() = default;
Classifier::Classifier(Classifier&&) noexcept = default;
Classifier& Classifier::operator=(Classifier&&) noexcept = default;

Classification Classifier::classify(const std::filesystem::path& path) {
  return classify(read_image(path));
}

Classification Classifier::classify(const Image& image) {
  return classify(std::span(&image, 1)).front();
}

std::vector<Classification> Classifier::classify(std::span<const Image> images, const Tick& tick) {
  return impl_->classify(images, tick);
}

void Classifier::require_fits(const Image& image) const {
  impl_->require_fits(image);
}

}  // namespace lunart
