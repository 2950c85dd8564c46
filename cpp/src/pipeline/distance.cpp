#include "pipeline/distance.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

namespace lunart {
namespace {

constexpr float kFar = std::numeric_limits<float>::infinity();

// Squared millimetres of 0, 1, 2, ... steps along an axis of n cells, as far as `mm`; then kFar.
std::vector<float> squares(double step, double mm, std::int64_t n) {
  std::vector<float> out;
  for (std::int64_t k = 0; k < n; ++k) {
    const float d = static_cast<float>(k) * static_cast<float>(step);
    if (static_cast<double>(d) > mm) break;
    out.push_back(d * d);
  }
  return out;
}

// Squared millimetres to the nearest cell of the same row.
class RowDistance {
 public:
  RowDistance(std::vector<float> near, std::size_t cols) : away_(std::move(near)) {
    away_.resize(cols + 1, kFar);
    toward_.assign(away_.rbegin(), away_.rend());
  }

  void operator()(const Word* row, std::size_t cols, float* to) const {
    std::size_t done = 0;
    each_run(row, cols, [&](std::size_t begin, std::size_t end) {
      gap(to, done, begin);
      std::fill(to + begin, to + end, 0.0F);
      done = end;
    });
    std::copy_n(away_.begin() + 1, cols - done, to + done);
  }

 private:
  // Columns [begin, end) between a run (or the row's beginning) and a run.
  void gap(float* to, std::size_t begin, std::size_t end) const {
    const std::size_t n = end - begin;
    const std::size_t left = begin == 0 ? 0 : n / 2;
    std::copy_n(away_.begin() + 1, left, to + begin);
    // toward_ ends in 1 and 0 steps.
    const auto last = toward_.end() - 1;
    std::copy(last - static_cast<std::ptrdiff_t>(n - left), last, to + begin + left);
  }

  std::vector<float> away_, toward_;  // by steps from, and to, a run
};

void least_sum(float* to, const float* from, float add, std::size_t n) {
  for (std::size_t k = 0; k < n; ++k) {
    const float sum = from[k] + add;
    to[k] = sum < to[k] ? sum : to[k];
  }
}

// Of two rows at the same distance.
void least_sum(float* to, const float* a, const float* b, float add, std::size_t n) {
  for (std::size_t k = 0; k < n; ++k) {
    const float sum = (a[k] < b[k] ? a[k] : b[k]) + add;
    to[k] = sum < to[k] ? sum : to[k];
  }
}

// Rows of floats of which most hold nothing but kFar.
struct Field {
  std::vector<float> values;
  std::vector<std::uint8_t> is_near;  // of a row: whether it holds anything else
};

// The least of a line of rows `stride` apart around row `at` of `from`, each plus its distance.
// Returns whether it holds any distance.
bool least_of_rows(const Field& from, std::size_t at, std::size_t place, std::size_t n,
                   std::size_t stride, const std::vector<float>& square, std::size_t cols,
                   float* to) {
  const auto row_of = [&](std::size_t row) -> const float* {
    return from.is_near[row] != 0 ? from.values.data() + row * cols : nullptr;
  };
  bool any = false;
  for (std::size_t k = 0; k < square.size(); ++k) {
    const float* const before = k <= place ? row_of(at - k * stride) : nullptr;
    const float* const after = k > 0 && place + k < n ? row_of(at + k * stride) : nullptr;
    if (before == nullptr && after == nullptr) continue;
    if (!any) std::fill_n(to, cols, kFar);
    any = true;
    if (before != nullptr && after != nullptr) {
      least_sum(to, before, after, square[k], cols);
    } else {
      least_sum(to, before != nullptr ? before : after, square[k], cols);
    }
  }
  return any;
}

}  // namespace

Cells within(const Cells& cells, const Xyz& step, double mm, const Lanes& lanes) {
  const IrcIndex& n = cells.shape();
  const auto layers = static_cast<std::size_t>(n.index);
  const auto rows = static_cast<std::size_t>(n.row);
  const auto cols = static_cast<std::size_t>(n.col);
  const RowDistance row_distance(squares(step.x, mm, n.col), cols);
  const std::vector<float> square_row = squares(step.y, mm, n.row);
  const std::vector<float> square_index = squares(step.z, mm, n.index);

  Field plane;  // distances within a layer
  plane.values.resize(layers * rows * cols);
  plane.is_near.resize(layers * rows);
  lanes.each(layers, [&](std::size_t i) {
    const ConstLayer layer = cells.layer(i);
    Field line;  // distances within a row
    line.values.resize(rows * cols);
    line.is_near.resize(rows);
    for (std::size_t r = 0; r < rows; ++r) {
      const Word* const row = layer.row(r);
      if (std::all_of(row, row + layer.words(), [](Word w) { return w == 0; })) continue;
      line.is_near[r] = 1;
      row_distance(row, cols, line.values.data() + r * cols);
    }
    for (std::size_t r = 0; r < rows; ++r) {
      const std::size_t at = i * rows + r;
      plane.is_near[at] =
          least_of_rows(line, r, r, rows, 1, square_row, cols, plane.values.data() + at * cols) ? 1
                                                                                                : 0;
    }
  });

  Cells near(n);
  lanes.each(layers, [&](std::size_t i) {
    const Layer layer = near.layer(i);
    std::vector<float> least(cols);
    for (std::size_t r = 0; r < rows; ++r) {
      if (!least_of_rows(plane, i * rows + r, i, layers, rows, square_index, cols, least.data())) {
        continue;
      }
      for (std::size_t w = 0; w < layer.words(); ++w) {
        layer.row(r)[w] = bits_of(least.data() + w * 64, std::min<std::size_t>(64, cols - w * 64),
                                  [&](float d2) { return static_cast<double>(d2) <= mm * mm; });
      }
    }
  });
  return near;
}

}  // namespace lunart
