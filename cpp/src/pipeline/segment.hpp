// Slice by slice through the segmentation network: only the box of a slice that can hold nodules
// is converted and run, and only its thresholded runs are kept.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "engines/engine.hpp"
#include "lunart/volume.hpp"
#include "pipeline/hu_window.hpp"
#include "pipeline/region.hpp"
#include "pipeline/runs.hpp"

namespace lunart {

// Rows and columns of one slice that the network sees. May reach beyond the scan by less than
// `multiple_of` voxels, where the last row and column repeat.
struct Box {
  std::int64_t row{}, col{}, rows{}, cols{};
};

struct SegmentOptions {
  HuWindow window{};
  int context_slices{3};  // on each side; the scan's end slices repeat
  double threshold{0.5};
  int multiple_of{4};
  int halo{24};  // voxels beyond the region, so that the region's probabilities are exact
};

// What to run of each slice: the region's bounding box with its halo, starting on a multiple of
// `multiple_of` so that pooling falls as in the whole slice, its size rounded up to four times that
// so that an engine meets few shapes; the whole slice without a region; nothing outside it.
[[nodiscard]] std::vector<std::optional<Box>> slice_boxes(const IrcIndex& shape,
                                                          const std::optional<LungRegion>& region,
                                                          const SegmentOptions& options);

// Clamped HU of the box in the slices around `index`, in (slice, row, col) order, into `input`.
void fill_input(const Volume& volume, std::int64_t index, const Box& box,
                const SegmentOptions& options, std::vector<float>& input);

// `step(done, total)` is called before the first slice and after each, and may throw.
[[nodiscard]] RunMask segment(const Volume& volume, const std::vector<std::optional<Box>>& boxes,
                              const Network& network, const SegmentOptions& options,
                              const std::function<void(std::size_t, std::size_t)>& step);

}  // namespace lunart
