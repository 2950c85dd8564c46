#include "image/preprocess.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace lunart {
namespace {

constexpr std::size_t kChannels = 3;

ImageSize resized(const std::optional<Resize>& resize, ImageSize picture) {
  if (!resize) return picture;
  if (resize->exact) return *resize->exact;
  // torchvision: int(size * long / short).
  const std::int64_t n = resize->shortest;
  if (picture.rows <= picture.cols) return {n, n * picture.cols / picture.rows};
  return {n * picture.rows / picture.cols, n};
}

// Where a crop begins: torchvision's int(round((n - crop) / 2)), which rounds half to even, and
// half of what is missing where it pads.
std::int64_t crop_start(std::int64_t n, std::int64_t crop) {
  if (crop > n) return -((crop - n) / 2);
  return std::llrint(static_cast<double>(n - crop) / 2);
}

// Makes rows of the resized picture, one at a time: down the columns first, so that there is never
// more than one row in between.
class Resampler {
 public:
  // Only new columns from `begin`, `count` of them, are made.
  Resampler(const Image& image, const std::optional<Resize>& resize, ImageSize to,
            std::int64_t begin, std::int64_t count)
      : image_(image),
        filter_(resize ? resize->filter : Filter::nearest),
        antialias_(resize && resize->antialias),
        rows_(to.rows),
        line_(kChannels * static_cast<std::size_t>(image.cols)) {
    const Axis across{image.cols, to.cols, filter_, antialias_};
    for (std::int64_t c = begin; c < begin + count; ++c) across_.push_back(taps_of(across, c));
  }

  // (col, channel), 0 to 255.
  void row(std::int64_t r, std::span<float> to) {
    blend_rows(taps_of({image_.rows, rows_, filter_, antialias_}, r));
    for (std::size_t c = 0; c < across_.size(); ++c) {
      const Taps& taps = across_[c];
      const float* from = line_.data() + kChannels * static_cast<std::size_t>(taps.first);
      std::array<float, kChannels> sum{};
      for (const float w : taps.weights) {
        for (std::size_t k = 0; k < kChannels; ++k) sum[k] += w * *from++;
      }
      for (std::size_t k = 0; k < kChannels; ++k) {
        // Bicubic weights overshoot; no pixel does, in torchvision and Pillow.
        to[kChannels * c + k] = std::clamp(sum[k], 0.0F, 255.0F);
      }
    }
  }

 private:
  void blend_rows(const Taps& taps) {
    std::ranges::fill(line_, 0.0F);
    const std::uint8_t* from =
        image_.rgb.data() + line_.size() * static_cast<std::size_t>(taps.first);
    for (const float w : taps.weights) {
      for (float& sum : line_) sum += w * static_cast<float>(*from++);
    }
  }

  const Image& image_;
  Filter filter_;
  bool antialias_;
  std::int64_t rows_;
  std::vector<float> line_;
  std::vector<Taps> across_;
};

}  // namespace

ImageSize size_after(const PreprocessOptions& options, ImageSize picture) {
  return options.center_crop.value_or(resized(options.resize, picture));
}

void preprocess(const Image& image, const PreprocessOptions& o, std::span<float> to) {
  const ImageSize size = resized(o.resize, {image.rows, image.cols});
  const ImageSize out = o.center_crop.value_or(size);
  const std::int64_t top = crop_start(size.rows, out.rows);
  const std::int64_t left = crop_start(size.cols, out.cols);
  // What of the output lies in the picture; the rest is black.
  const std::int64_t begin = std::max<std::int64_t>(0, -left);
  const std::int64_t end = std::min(out.cols, size.cols - left);
  Resampler resampler(image, o.resize, size, left + begin, end - begin);
  const auto cols = static_cast<std::size_t>(out.cols);
  const std::size_t plane = static_cast<std::size_t>(out.rows) * cols;
  std::vector<float> row(kChannels * cols);
  const std::span<float> inside =
      std::span(row).subspan(kChannels * static_cast<std::size_t>(begin));
  for (std::int64_t r = 0; r < out.rows; ++r) {
    const std::int64_t from = top + r;
    if (from >= 0 && from < size.rows) {
      resampler.row(from, inside);
    } else {
      std::ranges::fill(row, 0.0F);
    }
    for (std::size_t k = 0; k < kChannels; ++k) {
      float* const line = to.data() + k * plane + static_cast<std::size_t>(r) * cols;
      for (std::size_t c = 0; c < cols; ++c) {
        line[c] =
            static_cast<float>((row[kChannels * c + k] * o.scale - o.mean[k]) / o.deviation[k]);
      }
    }
  }
}

}  // namespace lunart
