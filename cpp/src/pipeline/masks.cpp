#include "pipeline/masks.hpp"

#include <algorithm>
#include <array>

namespace lunart {

StoredLayout::StoredLayout(const Masks& masks) {
  const IrcIndex& n = masks.stored_shape;
  const auto place = [&](const Irc& oriented) {
    const Irc s = masks.orientation.to_stored(oriented, n);
    return (static_cast<std::int64_t>(s.index) * n.row + static_cast<std::int64_t>(s.row)) * n.col +
           static_cast<std::int64_t>(s.col);
  };
  start_ = place({0, 0, 0});
  index_step_ = place({1, 0, 0}) - start_;
  row_step_ = place({0, 1, 0}) - start_;
  col_step_ = place({0, 0, 1}) - start_;
}

std::vector<std::uint32_t> label_mask(const Result& result, const std::vector<Finding>& findings) {
  std::uint32_t largest = 0;
  for (const Finding& finding : findings) largest = std::max(largest, finding.label);
  std::vector<std::uint32_t> value(std::size_t{largest} + 1);
  for (const Finding& finding : findings) value[finding.label] = finding.label;
  return painted<std::uint32_t>(
      *result.masks, [&](std::uint32_t label) { return label < value.size() ? value[label] : 0U; });
}

std::vector<std::uint8_t> threshold_mask(const Result& result) {
  return painted<std::uint8_t>(*result.masks, [](std::uint32_t) { return std::uint8_t{1}; });
}

std::vector<std::uint8_t> region_mask(const Result& result) {
  std::vector<std::uint8_t> out(result.geometry.voxel_count(), 1);
  if (!result.masks->region) return out;
  const LungRegion& region = *result.masks->region;
  const StoredLayout layout(*result.masks);
  for (std::int64_t i = 0; i < region.scan_shape.index; ++i) {
    for (std::int64_t r = 0; r < region.scan_shape.row; ++r) {
      for (std::int64_t c = 0; c < region.scan_shape.col; ++c) {
        out[layout.at(i, r, c)] = region.contains(i, r, c) ? 1 : 0;
      }
    }
  }
  return out;
}

}  // namespace lunart
