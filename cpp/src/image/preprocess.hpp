// A picture as a network sees it: resized, cropped, scaled, normalised, in the order and by the
// rules of torchvision's ImageClassification transforms of a PIL image.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "image/resample.hpp"
#include "lunart/image.hpp"

namespace lunart {

struct ImageSize {
  std::int64_t rows{}, cols{};
  friend bool operator==(const ImageSize&, const ImageSize&) = default;
};

struct Resize {
  std::optional<ImageSize> exact{};  // else the shortest side becomes:
  std::int64_t shortest{};
  Filter filter{Filter::bilinear};
  bool antialias{true};
};

struct PreprocessOptions {
  std::optional<Resize> resize{};
  std::optional<ImageSize> center_crop{};  // black where the picture is smaller
  double scale{1.0 / 255};
  std::array<double, 3> mean{0, 0, 0};
  std::array<double, 3> deviation{1, 1, 1};
};

// What comes out of a picture of that size.
[[nodiscard]] ImageSize size_after(const PreprocessOptions& options, ImageSize picture);

// (channel, row, col), red, green, blue: (value * scale - mean) / deviation. `to` has room for it.
void preprocess(const Image& image, const PreprocessOptions& options, std::span<float> to);

}  // namespace lunart
