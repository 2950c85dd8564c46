#include "pipeline/segment.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "lunart/error.hpp"
#include "pipeline/lanes.hpp"

namespace lunart {
namespace {

constexpr std::int64_t round_up(std::int64_t value, std::int64_t to) {
  return (value + to - 1) / to * to;
}

struct Interval {
  std::int64_t begin{}, size{};
};

// One axis of a box around [begin, end) in a slice of n voxels.
Interval fit(std::int64_t begin, std::int64_t end, std::int64_t n, const SegmentOptions& o) {
  const std::int64_t whole = round_up(n, o.multiple_of);
  const std::int64_t first =
      std::max<std::int64_t>(0, begin - o.halo) / o.multiple_of * o.multiple_of;
  const std::int64_t size = std::min(
      whole, round_up(std::min(whole, end + o.halo) - first, std::int64_t{4} * o.multiple_of));
  return {std::min(first, whole - size), size};
}

// Runs above the threshold in one box, by row of the scan.
struct RowRun {
  std::int64_t row{};
  Run run;
};

std::vector<RowRun> runs_above(const std::vector<float>& probability, const Box& box,
                               const IrcIndex& shape, float threshold) {
  std::vector<RowRun> found;
  const std::int64_t rows = std::min(box.rows, shape.row - box.row);
  const std::int64_t cols = std::min(box.cols, shape.col - box.col);
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* line = probability.data() + r * box.cols;
    for (std::int64_t c = 0; c < cols; ++c) {
      if (!(line[c] > threshold)) continue;
      const std::int64_t begin = c;
      while (c < cols && line[c] > threshold) ++c;
      found.push_back(
          {box.row + r,
           {static_cast<std::int32_t>(box.col + begin), static_cast<std::int32_t>(box.col + c)}});
    }
  }
  return found;
}

// A network that answers NaN would otherwise look like a scan without nodules.
void require_numbers(const std::vector<float>& probability) {
  if (std::ranges::all_of(probability, [](float p) { return std::isfinite(p); })) return;
  throw Error(Errc::engine,
              "the segmentation network returned a probability that is not a number; run "
              "luna_infer --selfcheck");
}

void require_shape(const std::vector<Tensor>& outputs, const Box& box) {
  const std::vector<std::int64_t> expected{1, 1, box.rows, box.cols};
  if (outputs.size() == 1 && outputs[0].shape == expected) return;
  throw Error(Errc::engine,
              "the segmentation network returned " + std::to_string(outputs.size()) +
                  " outputs or another shape for an input of " + std::to_string(box.rows) + "x" +
                  std::to_string(box.cols) +
                  "; the artifact does not fit the manifest (run luna_infer --selfcheck)");
}

}  // namespace

void fill_input(const Volume& volume, std::int64_t index, const Box& box, const SegmentOptions& o,
                std::vector<float>& input) {
  const IrcIndex n = volume.geometry.shape;
  const std::int64_t inside = std::min(box.cols, n.col - box.col);
  input.resize(static_cast<std::size_t>((2 * o.context_slices + 1) * box.rows * box.cols));
  std::visit(
      [&](auto voxels) {
        float* to = input.data();
        for (int s = -o.context_slices; s <= o.context_slices; ++s) {
          const std::int64_t i = std::clamp<std::int64_t>(index + s, 0, n.index - 1);
          for (std::int64_t r = 0; r < box.rows; ++r) {
            const std::int64_t row = std::min(box.row + r, n.row - 1);
            const auto* from = voxels.data() + (i * n.row + row) * n.col + box.col;
            for (std::int64_t c = 0; c < inside; ++c) {
              to[c] = std::clamp(static_cast<float>(from[c]), o.window.low, o.window.high);
            }
            std::fill(to + inside, to + box.cols, to[inside - 1]);
            to += box.cols;
          }
        }
      },
      volume.hu);
}

std::vector<std::optional<Box>> slice_boxes(const IrcIndex& shape,
                                            const std::optional<LungRegion>& region,
                                            const SegmentOptions& options) {
  std::vector<std::optional<Box>> boxes(static_cast<std::size_t>(shape.index));
  for (std::int64_t i = 0; i < shape.index; ++i) {
    LungRegion::Extent extent{0, shape.row, 0, shape.col};
    if (region) {
      const auto found = region->extent(i);
      if (!found) continue;
      extent = *found;
    }
    const Interval rows = fit(extent.row_begin, extent.row_end, shape.row, options);
    const Interval cols = fit(extent.col_begin, extent.col_end, shape.col, options);
    boxes[static_cast<std::size_t>(i)] = Box{rows.begin, cols.begin, rows.size, cols.size};
  }
  return boxes;
}

RunMask segment(const Volume& volume, const std::vector<std::optional<Box>>& boxes,
                const Network& network, const SegmentOptions& options,
                const std::function<void(std::size_t, std::size_t)>& step) {
  std::vector<std::size_t> slices;
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    if (boxes[i]) slices.push_back(i);
  }
  RunMask mask(volume.geometry.shape);
  std::vector<std::vector<float>> inputs(static_cast<std::size_t>(network.lanes));
  step(0, slices.size());
  in_lanes<std::vector<RowRun>>(
      network.lanes, slices.size(),
      [&](std::size_t lane, std::size_t k) {
        const Box& box = *boxes[slices[k]];
        std::vector<float>& input = inputs[lane];
        fill_input(volume, static_cast<std::int64_t>(slices[k]), box, options, input);
        const std::array<std::int64_t, 4> shape{1, 2 * options.context_slices + 1, box.rows,
                                                box.cols};
        const std::vector<Tensor> outputs = network.run({shape, input});
        require_shape(outputs, box);
        require_numbers(outputs[0].data);
        return runs_above(outputs[0].data, box, volume.geometry.shape,
                          static_cast<float>(options.threshold));
      },
      [&](std::size_t k, const std::vector<RowRun>& runs) {
        for (const RowRun& found : runs) {
          mask.append(static_cast<std::int64_t>(slices[k]), found.row, found.run);
        }
        step(k + 1, slices.size());
      });
  return mask;
}

}  // namespace lunart
