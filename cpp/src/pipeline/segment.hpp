// Slice by slice through the segmentation network: only the boxes of a slice that can hold nodules
// are converted and run, and only their thresholded runs are kept.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "engines/engine.hpp"
#include "lunart/volume.hpp"
#include "pipeline/boxes.hpp"
#include "pipeline/hu_window.hpp"
#include "pipeline/region.hpp"
#include "pipeline/runs.hpp"

namespace lunart {

struct SegmentOptions {
  HuWindow window{};
  int context_slices{3};  // on each side; the scan's end slices repeat
  double threshold{0.5};
  BoxOptions boxes{};
  int erosion{1};  // of the mask, before candidates are told apart
};

// Clamped HU of the box in the slices around `index`, in (slice, row, col) order, into `input`.
void fill_input(const Volume& volume, std::int64_t index, const Box& box,
                const SegmentOptions& options, std::vector<float>& input);

struct Segmented {
  RunMask mask;
  std::vector<double> highest;  // probability in the region of each slice; 0 where it has none
};

// The mask of what is above the threshold: of the scan, or of boxes around a region, in which every
// candidate that has a voxel in the region is the same as without boxes. `step(done, total)` counts
// slices, is called before the first and after each, and may throw.
[[nodiscard]] Segmented segment(const Volume& volume, const std::optional<LungRegion>& region,
                                const Network& network, const SegmentOptions& options,
                                const std::function<void(std::size_t, std::size_t)>& step);

}  // namespace lunart
