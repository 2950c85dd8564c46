// A mask as runs of voxels: what lies above the threshold is small against a scan, and threshold,
// erosion, labelling and growing back all work a run at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "lunart/geometry.hpp"

namespace lunart {

struct Run {
  std::int32_t begin{}, end{};  // columns [begin, end)
};

// A run of voxels of one row whose probability exceeded the threshold. Label 0: in no candidate.
struct LabelRun {
  std::int32_t index{}, row{}, col_begin{}, col_end{};
  std::uint32_t label{};
};

// Rows are appended in raster order; rows that are not mentioned are empty.
class RunMask {
 public:
  explicit RunMask(const IrcIndex& shape);

  // Appends a run of row (index, row); runs come in raster order.
  void append(std::int64_t index, std::int64_t row, Run run);

  [[nodiscard]] const IrcIndex& shape() const noexcept { return shape_; }
  [[nodiscard]] const std::vector<Run>& runs() const noexcept { return runs_; }
  // The runs of a row as positions [first, last) in runs(); empty outside the scan.
  struct Range {
    std::size_t first{}, last{};
  };
  [[nodiscard]] Range row(std::int64_t index, std::int64_t row) const noexcept;

 private:
  IrcIndex shape_;
  std::vector<Run> runs_;
  std::vector<Range> rows_;  // of every row of the scan
};

// 3-D erosion by the 6-neighbour cross; what is outside the scan counts as background
// (scipy.ndimage.binary_erosion's defaults).
[[nodiscard]] RunMask eroded(const RunMask& mask);

// 6-connected components, numbered from 1 in the raster order of their first voxels
// (scipy.ndimage.label's default). `of_run` is parallel to mask.runs().
struct Components {
  std::vector<std::uint32_t> of_run;
  std::uint32_t count{};
};
[[nodiscard]] Components connected_components(const RunMask& mask);

}  // namespace lunart
