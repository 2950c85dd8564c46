// From a thresholded mask to candidates: erosion, components, centres, and the size of each one
// grown back inside the mask.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "lunart/volume.hpp"
#include "pipeline/hu_window.hpp"
#include "pipeline/runs.hpp"

namespace lunart {

struct GroupOptions {
  HuWindow window{};
  int erosion{1};               // times; the book: 1
  double min_component_mm3{0};  // of the grown component; the book: 0
  // Candidates whose centre this refuses are dropped; empty: none.
  std::function<bool(const Irc&)> keep_centre{};
};

struct Component {
  std::uint32_t label{};   // 1... in raster order
  Irc center;              // weighted by clamped HU - window.low + 1
  std::uint64_t voxels{};  // eroded
  double volume_mm3{};     // grown back
};

struct Grouped {
  std::vector<Component> components;
  std::vector<LabelRun> runs;  // every voxel of the mask; label 0 where no component stayed
};

// `mask` lies in the volume's own axes. Centres are SciPy's center_of_mass (sums in double).
// Growing back is breadth first inside the mask, all components at once, so that none enters
// another; memory follows the mask.
[[nodiscard]] Grouped group(const RunMask& mask, const Volume& volume, const GroupOptions& options);

}  // namespace lunart
