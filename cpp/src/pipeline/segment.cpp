#include "pipeline/segment.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <utility>

#include "lunart/error.hpp"
#include "pipeline/lanes.hpp"

namespace lunart {
namespace {

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

// What is left of the runs of box `own` where its slice's boxes overlap.
std::vector<RowRun> believed(const std::vector<RowRun>& runs, std::span<const SliceBox> of_slice,
                             std::size_t own, const IrcIndex& shape) {
  std::vector<RowRun> kept;
  for (const auto& [row, run] : runs) {
    const auto is_own = [&](std::int32_t col) {
      return deepest_box(of_slice, row, col, shape) == own;
    };
    for (std::int32_t c = run.begin; c < run.end; ++c) {
      if (!is_own(c)) continue;
      const std::int32_t begin = c;
      while (c < run.end && is_own(c)) ++c;
      kept.push_back({row, {begin, c}});
    }
  }
  return kept;
}

// Runs of several boxes in raster order; those that touch become one.
void put_together(std::vector<RowRun>& runs) {
  std::ranges::sort(runs, {}, [](const RowRun& r) { return std::pair(r.row, r.run.begin); });
  std::vector<RowRun> joined;
  for (const RowRun& next : runs) {
    if (!joined.empty() && joined.back().row == next.row &&
        joined.back().run.end == next.run.begin) {
      joined.back().run.end = next.run.end;
    } else {
      joined.push_back(next);
    }
  }
  runs = std::move(joined);
}

// Which of the boxes belong to the same slice.
class Slices {
 public:
  explicit Slices(const std::vector<SliceBox>& boxes) : boxes_(boxes) {
    for (std::size_t k = 0; k < boxes.size(); ++k) count_ += first_box(k) == k ? 1 : 0;
  }
  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  [[nodiscard]] std::size_t first_box(std::size_t k) const noexcept {
    while (k > 0 && boxes_[k - 1].index == boxes_[k].index) --k;
    return k;
  }
  [[nodiscard]] std::size_t last_box(std::size_t k) const noexcept {
    while (k + 1 < boxes_.size() && boxes_[k + 1].index == boxes_[k].index) ++k;
    return k;
  }

 private:
  const std::vector<SliceBox>& boxes_;
  std::size_t count_{};
};

// A network that answers NaN would otherwise look like a scan without nodules.
void require_numbers(const std::vector<float>& probability) {
  int wrong = 0;  // without a way out of the loop, so that it becomes vectors
  for (const float p : probability) wrong |= std::abs(p) <= std::numeric_limits<float>::max() ? 0 : 1;
  if (wrong == 0) return;
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
            copy_clamped(from, static_cast<std::size_t>(inside), o.window, to);
            std::fill(to + inside, to + box.cols, to[inside - 1]);
            to += box.cols;
          }
        }
      },
      volume.hu);
}

RunMask segment(const Volume& volume, const std::vector<SliceBox>& boxes, const Network& network,
                const SegmentOptions& options,
                const std::function<void(std::size_t, std::size_t)>& step) {
  const Slices slices(boxes);
  const IrcIndex& scan = volume.geometry.shape;
  RunMask mask(scan);
  std::vector<std::vector<float>> inputs(static_cast<std::size_t>(network.lanes));
  std::vector<RowRun> of_slice;
  std::size_t done = 0;
  step(0, slices.count());
  in_lanes<std::vector<RowRun>>(
      network.lanes, boxes.size(),
      [&](std::size_t lane, std::size_t k) {
        const auto& [index, box] = boxes[k];
        std::vector<float>& input = inputs[lane];
        fill_input(volume, index, box, options, input);
        const std::array<std::int64_t, 4> shape{1, 2 * options.context_slices + 1, box.rows,
                                                box.cols};
        const std::vector<Tensor> outputs = network.run({shape, input});
        require_shape(outputs, box);
        require_numbers(outputs[0].data);
        std::vector<RowRun> found =
            runs_above(outputs[0].data, box, scan, static_cast<float>(options.threshold));
        const std::size_t first = slices.first_box(k);
        const auto all = std::span(boxes).subspan(first, slices.last_box(k) + 1 - first);
        return all.size() == 1 ? found : believed(found, all, k - first, scan);
      },
      [&](std::size_t k, const std::vector<RowRun>& found) {
        of_slice.insert(of_slice.end(), found.begin(), found.end());
        if (k != slices.last_box(k)) return;
        if (k != slices.first_box(k)) put_together(of_slice);
        for (const auto& [row, run] : of_slice) mask.append(boxes[k].index, row, run);
        of_slice.clear();
        step(++done, slices.count());
      });
  return mask;
}

}  // namespace lunart
