// Resizing one axis at a time as a weighted sum of a few neighbouring pixels, as Pillow
// (src/libImaging/Resample.c) and PyTorch (torch.nn.functional.interpolate) do.
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
  std::vector<float> weights;  // sum 1
};

struct Axis {
  std::int64_t from{}, to{};  // pixels before and after
  Filter filter{Filter::bilinear};
  bool antialias{true};  // where it shrinks, the filter grows by as much
};

// Of new pixel k; k < axis.to.
[[nodiscard]] Taps taps_of(const Axis& axis, std::int64_t k);

}  // namespace lunart
