#include "pipeline/segment.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <string>

#include "lunart/error.hpp"
#include "pipeline/cells.hpp"
#include "pipeline/follow.hpp"
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

// The largest of numbers that are not negative, else 0. Their bits order as they do, and only of
// integers the compiler makes vectors.
float highest_of(const float* from, std::int64_t n) {
  std::int32_t most = 0;
  for (std::int64_t k = 0; k < n; ++k) most = std::max(most, std::bit_cast<std::int32_t>(from[k]));
  return std::bit_cast<float>(most);
}

// The highest probability of a box within the region, where the box is exact; so it depends neither
// on how boxes were cut nor on what they show around the region.
float highest_in(const std::optional<LungRegion>& region, const SliceBox& of, const Box& exact,
                 const std::vector<float>& probability) {
  float most = 0;
  for (std::int64_t r = exact.row; r < exact.row + exact.rows; ++r) {
    const float* const line = probability.data() + (r - of.box.row) * of.box.cols - of.box.col;
    const std::int64_t end = exact.col + exact.cols;
    const std::int64_t step = region ? region->block.col : exact.cols;
    for (std::int64_t c = exact.col; c < end;) {
      const std::int64_t next = std::min(end, region ? (c / step + 1) * step : end);
      if (!region || region->contains(of.index, r, c)) {
        most = std::max(most, highest_of(line + c, next - c));
      }
      c = next;
    }
  }
  return most;
}

// Believes a box where it is exact, and elsewhere where nothing better is known.
void take(const SliceBox& from, const std::vector<RowRun>& found, const BoxOptions& options,
          Known& known) {
  const auto index = static_cast<std::size_t>(from.index);
  const Layer mask = known.mask.layer(index);
  const Layer exact = known.exact.layer(index);
  const auto part = exact_part(from.box, known.mask.shape(), options);
  const auto begin = static_cast<std::size_t>(part.col);
  const auto end = begin + static_cast<std::size_t>(part.cols);
  std::vector<Word> called(mask.words());
  auto next = found.begin();
  const std::int64_t last = std::min(from.box.row + from.box.rows, known.mask.shape().row);
  for (std::int64_t r = from.box.row; r < last; ++r) {
    std::ranges::fill(called, Word{0});
    for (; next != found.end() && next->row == r; ++next) {
      set_between(called.data(), static_cast<std::size_t>(next->run.begin),
                  static_cast<std::size_t>(next->run.end));
    }
    const bool is_exact = r >= part.row && r < part.row + part.rows;
    const auto row = static_cast<std::size_t>(r);
    for (std::size_t w = 0; w < mask.words(); ++w) {
      const Word here = is_exact ? bits_between(w, begin, end) : 0;
      Word& to = mask.row(row)[w];
      to = (to & ~here) | (called[w] & (here | ~exact.row(row)[w]));
      exact.row(row)[w] |= here;
    }
  }
}

// The rows and columns that boxes cover in any slice.
Box hull_of(const std::vector<SliceBox>& boxes) {
  Box hull = boxes.front().box;
  for (const auto& [index, box] : boxes) {
    const std::int64_t row_end = std::max(hull.row + hull.rows, box.row + box.rows);
    const std::int64_t col_end = std::max(hull.col + hull.cols, box.col + box.cols);
    hull.row = std::min(hull.row, box.row);
    hull.col = std::min(hull.col, box.col);
    hull.rows = row_end - hull.row;
    hull.cols = col_end - hull.col;
  }
  return hull;
}

// Nothing is followed beyond the hull: it counts as background that is known.
void clear_beyond(const Box& hull, Known& known) {
  const auto begin = static_cast<std::size_t>(hull.col);
  const auto end = begin + static_cast<std::size_t>(hull.cols);
  for (std::size_t i = 0; i < static_cast<std::size_t>(known.mask.shape().index); ++i) {
    const Layer exact = known.exact.layer(i);
    for (std::size_t r = 0; r < exact.rows; ++r) {
      const auto row = static_cast<std::int64_t>(r);
      const bool inside = row >= hull.row && row < hull.row + hull.rows;
      for (std::size_t w = 0; w < exact.words(); ++w) {
        exact.row(r)[w] |= exact.all(w) & ~(inside ? bits_between(w, begin, end) : 0);
      }
    }
  }
}

// A network that answers NaN would otherwise look like a scan without nodules.
void require_numbers(const std::vector<float>& probability) {
  int wrong = 0;  // without a way out of the loop, so that it becomes vectors
  for (const float p : probability)
    wrong |= std::abs(p) <= std::numeric_limits<float>::max() ? 0 : 1;
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

Segmented segment(const Volume& volume, const std::optional<LungRegion>& region,
                  const Network& network, const SegmentOptions& options,
                  const std::function<void(std::size_t, std::size_t)>& step) {
  struct Answer {
    std::vector<RowRun> runs;
    float highest{};
  };
  const IrcIndex& scan = volume.geometry.shape;
  std::vector<double> highest(static_cast<std::size_t>(scan.index));
  const std::vector<SliceBox> boxes = slice_boxes(scan, region, options.boxes);
  Known known(scan);
  std::vector<std::vector<float>> inputs(static_cast<std::size_t>(network.lanes));
  const auto run = [&](const std::vector<SliceBox>& these,
                       const std::function<void(std::size_t)>& finished) {
    in_lanes<Answer>(
        network.lanes, these.size(),
        [&](std::size_t lane, std::size_t k) {
          const auto& [index, box] = these[k];
          std::vector<float>& input = inputs[lane];
          fill_input(volume, index, box, options, input);
          const std::array<std::int64_t, 4> shape{1, 2 * options.context_slices + 1, box.rows,
                                                  box.cols};
          const std::vector<Tensor> outputs = network.run({shape, input});
          require_shape(outputs, box);
          require_numbers(outputs[0].data);
          const std::vector<float>& probability = outputs[0].data;
          return Answer{
              runs_above(probability, box, scan, static_cast<float>(options.threshold)),
              highest_in(region, these[k], exact_part(box, scan, options.boxes), probability)};
        },
        [&](std::size_t k, const Answer& found) {
          take(these[k], found.runs, options.boxes, known);
          double& slice = highest[static_cast<std::size_t>(these[k].index)];
          slice = std::max(slice, static_cast<double>(found.highest));
          finished(k);
        });
  };

  const auto is_last_of_slice = [&](std::size_t k) {
    return k + 1 == boxes.size() || boxes[k + 1].index != boxes[k].index;
  };
  std::size_t slices = 0;
  for (std::size_t k = 0; k < boxes.size(); ++k) slices += is_last_of_slice(k) ? 1 : 0;
  std::size_t done = 0;
  step(0, slices);
  run(boxes, [&](std::size_t k) {
    if (is_last_of_slice(k)) step(++done, slices);
  });
  if (region && !boxes.empty()) {
    clear_beyond(hull_of(boxes), known);
    const Lanes lanes{network.lanes};
    while (true) {
      const LungRegion more = undecided(known, *region, options.erosion, lanes);
      if (more.empty()) break;
      run(slice_boxes(scan, more, options.boxes), [&](std::size_t) { step(slices, slices); });
    }
  }
  return {runs_of(known.mask), std::move(highest)};
}

}  // namespace lunart
