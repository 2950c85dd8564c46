// An image classifier over one bundle:
//
//   lunart::Classifier classifier({.bundle = "exported/cifar-resdeep"});
//   lunart::Classification found = classifier.classify("picture.png");
//   std::printf("%s, p = %.3f\n", found.classes.front().name.c_str(),
//               found.classes.front().probability);
//
// A Classifier keeps the network loaded; use it from one thread at a time. Every call throws
// lunart::Error.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lunart/export.hpp"
#include "lunart/image.hpp"
#include "lunart/result.hpp"
#include "lunart/runner.hpp"

namespace lunart {

struct ClassProbability {
  std::string name;
  double probability{};
};

// In seconds; `classify` is a picture's share of its batch, and `total` all but `load`.
struct ClassificationTimings {
  double load{}, read{}, preprocess{}, classify{}, total{};
};

struct Classification {
  std::string path;  // empty: from memory
  std::int64_t rows{}, cols{};
  std::string decoded_sha256;  // of the 8-bit RGB pixels, rows * cols * 3 bytes
  std::string bundle_name, bundle_sha256;
  EngineInfo engine;
  std::vector<ClassProbability> classes;  // by falling probability
  ClassificationTimings timings_s;
  double peak_rss_mb{};
  std::vector<Warning> warnings;
};

struct ClassifierOptions {
  std::filesystem::path bundle;
  std::string engine{"auto"};
  Precision precision{Precision::f32};
  int threads{0};  // 0: every processor this process may use
  std::optional<CallableEngine> callable{};
};

class Classifier {
 public:
  LUNART_API explicit Classifier(const ClassifierOptions& options);
  LUNART_API ~Classifier();
  LUNART_API Classifier(Classifier&&) noexcept;
  LUNART_API Classifier& operator=(Classifier&&) noexcept;

  [[nodiscard]] LUNART_API Classification classify(const std::filesystem::path& path);
  [[nodiscard]] LUNART_API Classification classify(const Image& image);
  // In the order given. `tick` is called after each batch.
  [[nodiscard]] LUNART_API std::vector<Classification> classify(std::span<const Image> images,
                                                                const Tick& tick = {});
  // Throws Errc::scan when the bundle's settings do not make the network's input of this picture.
  LUNART_API void require_fits(const Image& image) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// lunart.classification/1 (docs/classification.schema.json), indented.
[[nodiscard]] LUNART_API std::string to_json(const Classification& found);
// For people: the most probable classes.
[[nodiscard]] LUNART_API std::string to_table(const Classification& found);

}  // namespace lunart
