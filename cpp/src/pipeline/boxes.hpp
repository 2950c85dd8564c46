// What of each slice the segmentation network sees: few and small boxes around the lung region, of
// few shapes. Their total area is what a scan costs.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "lunart/geometry.hpp"
#include "pipeline/region.hpp"

namespace lunart {

// Rows and columns of one slice that the network sees. May reach beyond the scan by less than
// `multiple_of` voxels, where the last row and column repeat.
struct Box {
  std::int64_t row{}, col{}, rows{}, cols{};
};

struct SliceBox {
  std::int64_t index{};  // of the slice
  Box box;
};

struct BoxOptions {
  int multiple_of{4};  // pooling falls as in the whole slice when boxes begin and end on it
  // Voxels beyond a region's side, from the nearest multiple of `multiple_of` on, that a network
  // must see for the region's probabilities to be exact.
  int halo{24};
};

// The boxes of all slices, by rising index: each slice's region in one or several rectangles (cut
// where that saves area), grown by the halo, and enlarged to a common shape where that costs less
// than another shape. Whole slices without a region; nothing for a slice outside it.
[[nodiscard]] std::vector<SliceBox> slice_boxes(const IrcIndex& shape,
                                                const std::optional<LungRegion>& region,
                                                const BoxOptions& options);

// Where a box answers as the whole slice does, as far as the scan reaches.
[[nodiscard]] Box exact_part(const Box& box, const IrcIndex& shape,
                             const BoxOptions& options) noexcept;

}  // namespace lunart
