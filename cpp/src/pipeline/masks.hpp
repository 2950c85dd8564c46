// The masks of a result, in the axes that the networks saw, and how to turn them back.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "lunart/result.hpp"
#include "pipeline/orientation.hpp"
#include "pipeline/region.hpp"
#include "pipeline/runs.hpp"

namespace lunart {

class Masks {
 public:
  Orientation orientation;
  IrcIndex stored_shape;
  std::vector<LabelRun> runs;
  std::optional<LungRegion> region;
};

// Position in the stored array of a voxel of the oriented one.
class StoredLayout {
 public:
  explicit StoredLayout(const Masks& masks);
  [[nodiscard]] std::size_t at(std::int64_t index, std::int64_t row,
                               std::int64_t col) const noexcept {
    return static_cast<std::size_t>(start_ + index * index_step_ + row * row_step_ +
                                    col * col_step_);
  }
  [[nodiscard]] std::int64_t col_step() const noexcept { return col_step_; }

 private:
  std::int64_t start_, index_step_, row_step_, col_step_;
};

// The runs of each label from 1 to `labels` in the stored scan, by rising offset, none beyond the
// end of a row.
[[nodiscard]] std::vector<std::vector<MaskRun>> stored_runs(const Masks& masks, std::size_t labels);

// The stored scan's array with `value_of(label)` at every voxel above the threshold, 0 elsewhere.
template <class T, class ValueOf>
[[nodiscard]] std::vector<T> painted(const Masks& masks, const ValueOf& value_of) {
  const IrcIndex& n = masks.stored_shape;
  std::vector<T> out(static_cast<std::size_t>(n.index * n.row * n.col));
  const StoredLayout layout(masks);
  for (const LabelRun& run : masks.runs) {
    const T value = value_of(run.label);
    if (value == 0) continue;
    for (std::int32_t c = run.col_begin; c < run.col_end; ++c) {
      out[layout.at(run.index, run.row, c)] = value;
    }
  }
  return out;
}

}  // namespace lunart
