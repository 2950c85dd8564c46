// Resizing one axis as a weighted sum of a few neighbouring pixels: which ones, and how much of
// each.
#pragma once

#include <cstdint>
#include <vector>

namespace lunart {

enum class Filter {
  nearest,   // the pixel under the new pixel's centre, as Pillow and torch's nearest-exact
  bilinear,  //
  bicubic,   // a = -0.5 with antialias, as Pillow; -0.75 without, as torch
};

// Which old pixels a new one is made of.
struct Taps {
  std::int64_t first{};
  std::vector<double> weights;  // sum 1
};

struct Axis {
  std::int64_t from{}, to{};  // pixels before and after
  Filter filter{Filter::bilinear};
};

// Of new pixel k; k < axis.to. Where it shrinks, the filter grows by as much: Pillow's
// (src/libImaging/Resample.c), term by term, so that its roundings come out the same. The filter is
// not nearest.
[[nodiscard]] Taps antialiased_taps(const Axis& axis, std::int64_t k);

// As torch.nn.functional.interpolate without antialias. Any filter.
[[nodiscard]] Taps interpolated_taps(const Axis& axis, std::int64_t k);

}  // namespace lunart
