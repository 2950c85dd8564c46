#include "image/preprocess.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "image/resized_rows.hpp"

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

// What each value of a channel becomes.
using Levels = std::array<float, 256>;

std::array<Levels, kChannels> levels_of(const PreprocessOptions& o) {
  std::array<Levels, kChannels> levels{};
  for (std::size_t k = 0; k < kChannels; ++k) {
    for (std::size_t v = 0; v < levels[k].size(); ++v) {
      levels[k][v] =
          static_cast<float>((static_cast<double>(v) * o.scale - o.mean[k]) / o.deviation[k]);
    }
  }
  return levels;
}

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
  const auto rows = resized_rows(image, o.resize, size, {left + begin, end - begin});
  const std::array<Levels, kChannels> levels = levels_of(o);
  const auto cols = static_cast<std::size_t>(out.cols);
  const std::size_t plane = static_cast<std::size_t>(out.rows) * cols;
  std::vector<std::uint8_t> row(kChannels * cols);
  const std::span<std::uint8_t> inside =
      std::span(row).subspan(kChannels * static_cast<std::size_t>(begin));
  for (std::int64_t r = 0; r < out.rows; ++r) {
    const std::int64_t from = top + r;
    if (from >= 0 && from < size.rows) {
      rows->make(from, inside);
    } else {
      std::ranges::fill(row, std::uint8_t{0});
    }
    for (std::size_t k = 0; k < kChannels; ++k) {
      float* const line = to.data() + k * plane + static_cast<std::size_t>(r) * cols;
      for (std::size_t c = 0; c < cols; ++c) line[c] = levels[k][row[kChannels * c + k]];
    }
  }
}

}  // namespace lunart
