#include "pipeline/intended_input.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>

namespace lunart {
namespace {

bool within(const Xyz& v, const Xyz& least, const Xyz& most) {
  return v.x >= least.x && v.y >= least.y && v.z >= least.z && v.x <= most.x && v.y <= most.y &&
         v.z <= most.z;
}

std::string text_of(const Xyz& v) {
  std::array<char, 96> text{};
  std::snprintf(text.data(), text.size(), "%gx%gx%g", v.x, v.y, v.z);
  return text.data();
}

}  // namespace

void append_input_warnings(const Volume& volume, const IntendedInput& intended,
                           std::vector<Warning>& warnings) {
  const Xyz& spacing = volume.geometry.spacing;
  if (!within(spacing, intended.least_spacing, intended.most_spacing)) {
    warnings.push_back({"spacing-range", "spacing " + text_of(spacing) +
                                             " mm is outside what the bundle was tested on (" +
                                             text_of(intended.least_spacing) + " to " +
                                             text_of(intended.most_spacing) + ")"});
  }
  const std::int64_t slices = volume.geometry.shape.index;
  if (slices < intended.least_slices || slices > intended.most_slices) {
    warnings.push_back({"slice-count", std::to_string(slices) +
                                           " slices are outside what the bundle was tested on (" +
                                           std::to_string(intended.least_slices) + " to " +
                                           std::to_string(intended.most_slices) + ")"});
  }
  std::visit(
      [&](auto voxels) {
        // Not std::ranges::minmax, whose comparisons in pairs do not become vectors.
        auto least = voxels.front();
        auto most = voxels.front();
        for (const auto hu : voxels) {
          least = std::min(least, hu);
          most = std::max(most, hu);
        }
        if (least >= intended.least_hu && most <= intended.most_hu && least < 0) return;
        warnings.push_back(
            {"hu-range",
             "values run from " + std::to_string(least) + " to " + std::to_string(most) +
                 ": not the Hounsfield units that the bundle was tested on; a rescale slope or "
                 "intercept may be missing"});
      },
      volume.hu);
}

}  // namespace lunart
