#include "pipeline/masks.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>

#include "lunart/error.hpp"

namespace lunart {
namespace {

void require_masks(const Result& result, const char* what) {
  if (result.masks) return;
  throw Error(Errc::usage, std::string("a stored result does not hold ") + what +
                               "; run the scan again to have it");
}

}  // namespace

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

std::vector<std::vector<MaskRun>> stored_runs(const Masks& masks, std::size_t labels) {
  const StoredLayout layout(masks);
  std::vector<std::vector<MaskRun>> runs(labels);
  for (const LabelRun& run : masks.runs) {
    if (run.label == 0 || run.label > labels) continue;
    std::vector<MaskRun>& own = runs[run.label - 1];
    const std::size_t first = layout.at(run.index, run.row, run.col_begin);
    const std::size_t last = layout.at(run.index, run.row, run.col_end - 1);
    if (std::abs(layout.col_step()) == 1) {
      own.push_back({std::min(first, last), std::max(first, last) - std::min(first, last) + 1});
      continue;
    }
    for (std::int32_t c = run.col_begin; c < run.col_end; ++c) {
      own.push_back({layout.at(run.index, run.row, c), 1});
    }
  }
  const auto cols = static_cast<std::uint64_t>(masks.stored_shape.col);
  for (std::vector<MaskRun>& own : runs) {
    std::ranges::sort(own, {}, &MaskRun::offset);
    std::size_t kept = 0;
    for (const MaskRun& run : own) {
      if (kept > 0 && own[kept - 1].offset + own[kept - 1].length == run.offset &&
          run.offset % cols != 0) {
        own[kept - 1].length += run.length;
      } else {
        own[kept++] = run;
      }
    }
    own.resize(kept);
    own.shrink_to_fit();
  }
  return runs;
}

std::vector<std::uint32_t> label_mask(const Result& result, const std::vector<Finding>& findings) {
  std::vector<std::uint32_t> mask(result.geometry.voxel_count());
  for (const Finding& finding : findings) {
    for (const MaskRun& run : finding.mask_runs) {
      std::fill_n(mask.begin() + static_cast<std::ptrdiff_t>(run.offset), run.length,
                  finding.label);
    }
  }
  return mask;
}

std::vector<std::uint8_t> threshold_mask(const Result& result) {
  require_masks(result, "the mask of the segmentation's threshold");
  return painted<std::uint8_t>(*result.masks, [](std::uint32_t) { return std::uint8_t{1}; });
}

std::vector<std::uint8_t> region_mask(const Result& result) {
  require_masks(result, "the lung region");
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
