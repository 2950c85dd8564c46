#include "pipeline/region.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numbers>
#include <optional>

#include "pipeline/cell_means.hpp"
#include "pipeline/cells.hpp"
#include "pipeline/distance.hpp"
#include "pipeline/lanes.hpp"

namespace lunart {
namespace {

std::size_t count_of(const IrcIndex& shape) {
  return static_cast<std::size_t>(shape.index * shape.row * shape.col);
}

ConstLayer constant(const Layer& layer) {
  return {layer.first, layer.rows, layer.cols};
}

// What is found in each slice by itself.
struct Sorted {
  explicit Sorted(const IrcIndex& grid) : hu(count_of(grid)), air(grid), inner(grid), loose(grid) {}

  std::vector<float> hu;  // means
  Cells air;              // all of it
  Cells inner;            // air that is not outside the body
  Cells loose;            // air outside the body that may be lung which the field of view cuts open
};

// The cells of a layer that are below a value.
void below(const float* hu, double value, const Layer& to) {
  const auto limit = static_cast<float>(value);
  for (std::size_t r = 0; r < to.rows; ++r) {
    for (std::size_t w = 0; w < to.words(); ++w) {
      to.row(r)[w] = bits_of(hu + r * to.cols + w * 64, std::min<std::size_t>(64, to.cols - w * 64),
                             [&](float mean) { return mean < limit; });
    }
  }
}

// Takes `front` and what lies within a few steps of it inside `layer` (skin, cloth) out of `layer`.
void remove_around(const Layer& layer, std::vector<Word> front) {
  constexpr int kSteps = 3;
  const std::size_t words = layer.words();
  for (std::size_t k = 0; k < layer.size(); ++k) layer.first[k] &= ~front[k];
  std::vector<Word> next(front.size());
  for (int step = 0; step < kSteps; ++step) {
    for (std::size_t r = 0; r < layer.rows; ++r) {
      const Word* const row = front.data() + r * words;
      for (std::size_t w = 0; w < words; ++w) {
        Word beside = row[w] << 1U | row[w] >> 1U;
        if (w > 0) beside |= row[w - 1] >> 63U;
        if (w + 1 < words) beside |= row[w + 1] << 63U;
        if (r > 0) beside |= (row - words)[w];
        if (r + 1 < layer.rows) beside |= (row + words)[w];
        next[r * words + w] = beside & layer.row(r)[w];
      }
    }
    for (std::size_t k = 0; k < layer.size(); ++k) layer.first[k] &= ~next[k];
    front.swap(next);
  }
}

// Air that belongs to no body is what reaches a slice's rim where that is plain air; slice by
// slice, so that an open mouth joins nothing.
void sort_air(const Volume& volume, const LungRegion& region, const RegionOptions& options,
              std::size_t i, Sorted& sorted) {
  const Layer air = sorted.air.layer(i);
  const Layer loose = sorted.loose.layer(i);
  const std::vector<float> means = cell_means(volume, region.block, static_cast<std::int64_t>(i));
  std::ranges::copy(means, sorted.hu.begin() + static_cast<std::ptrdiff_t>(i * means.size()));
  below(means.data(), options.air_hu, air);
  std::vector<Word> plain(air.size());
  const Layer plain_air{plain.data(), air.rows, air.cols};
  below(means.data(), options.outside_hu, plain_air);

  spread_from_rim(loose, constant(air), constant(plain_air));
  for (std::size_t k = 0; k < air.size(); ++k) {
    sorted.inner.layer(i).first[k] = air.first[k] & ~loose.first[k];
  }
  std::vector<Word> around(air.size());
  spread_from_rim({around.data(), air.rows, air.cols}, constant(plain_air), constant(plain_air));
  remove_around(loose, std::move(around));
}

void include(Cells& cells, const Cells& more) {
  std::ranges::transform(cells.words(), more.words(), cells.words().begin(), std::bit_or<>{});
}

bool is_empty(const Cells& cells) {
  return std::ranges::all_of(cells.words(), [](Word w) { return w == 0; });
}

void set_run(Word* row, const Run& run) {
  set_between(row, static_cast<std::size_t>(run.begin), static_cast<std::size_t>(run.end));
}

// Lung that was taken for outside in some slices, or is small: it goes on from lung in others.
void rejoin(Cells& lungs, Cells loose) {
  include(loose, lungs);
  const RunMask runs = runs_of(loose);
  const Components parts = connected_components(runs);
  std::vector<std::uint8_t> is_lung(parts.count);
  each_run_of(runs, parts, [&](const Run& run, std::size_t part, std::size_t i, std::size_t r) {
    const auto begin = static_cast<std::size_t>(run.begin);
    if (is_lung[part] != 0) return;
    is_lung[part] =
        count_between(lungs.layer(i).row(r), begin, static_cast<std::size_t>(run.end)) > 0 ? 1 : 0;
  });
  each_run_of(runs, parts, [&](const Run& run, std::size_t part, std::size_t i, std::size_t r) {
    if (is_lung[part] != 0) set_run(lungs.layer(i).row(r), run);
  });
}

// Lung borders on chest wall, mediastinum or diaphragm; the inside of a hollow table borders on
// thin plates. Of the sides of a part's cells that meet no air within their slice, the share behind
// which that goes on for four cells.
class Borders {
 public:
  // For the rows of one layer. `air` is all air, the outside's too.
  explicit Borders(const ConstLayer& air) : rows_(air.rows), words_(air.words()) {
    solid_.resize(air.size());
    for (std::size_t r = 0; r < air.rows; ++r) {
      for (std::size_t w = 0; w < words_; ++w) {
        solid_[r * words_ + w] = ~air.row(r)[w] & air.all(w);
      }
    }
  }

  struct Sides {
    std::size_t all{}, thick{};
  };
  // Of the cells of one run of row r.
  [[nodiscard]] Sides of(const Run& run, std::size_t r) const {
    Sides sides;
    const auto begin = static_cast<std::size_t>(run.begin);
    const auto end = static_cast<std::size_t>(run.end);
    // Left and right only a run's ends meet what is no air.
    add(depth([&](std::size_t k) { return begin >= k && is_solid(r, begin - k); }), sides);
    add(depth([&](std::size_t k) { return is_solid(r, end - 1 + k); }), sides);
    for (std::size_t w = begin / 64; w * 64 < end; ++w) {
      const Word cells = bits_between(w, begin, end);
      for (const bool down : {false, true}) {
        Word solid = cells;
        for (std::size_t k = 1; k <= kThickCells; ++k) {
          solid &= down ? word(r + k, w) : r >= k ? word(r - k, w) : 0;
          if (k == 1) sides.all += static_cast<std::size_t>(std::popcount(solid));
        }
        sides.thick += static_cast<std::size_t>(std::popcount(solid));
      }
    }
    return sides;
  }

 private:
  static constexpr std::size_t kThickCells = 4;

  [[nodiscard]] Word word(std::size_t r, std::size_t w) const {
    return r < rows_ ? solid_[r * words_ + w] : 0;
  }
  [[nodiscard]] bool is_solid(std::size_t r, std::size_t c) const {
    return c / 64 < words_ && (solid_[r * words_ + c / 64] >> c % 64 & 1U) != 0;
  }
  template <class IsSolid>
  static std::size_t depth(const IsSolid& is_solid_after) {
    std::size_t k = 0;
    while (k < kThickCells && is_solid_after(k + 1)) ++k;
    return k;
  }
  static void add(std::size_t depth, Sides& sides) {
    sides.all += depth > 0 ? 1 : 0;
    sides.thick += depth == kThickCells ? 1 : 0;
  }

  std::size_t rows_, words_;
  std::vector<Word> solid_;
};

struct Lungs {
  Cells large;
  Cells small;  // may go on from lung in other slices
};

// The 3-D parts of `inner` that can be lung: no plain air (bowel gas, a lone trachea), bordering on
// thick tissue.
Lungs keep_lungs(const Cells& inner, const Sorted& sorted, std::size_t least_cells,
                 double outside_hu) {
  constexpr double kShareOfLargest = 0.05;
  constexpr double kLeastThickBorder = 0.5;
  struct Part {
    std::size_t cells{};
    double hu{};  // sum
    Borders::Sides sides;
    bool is_kept{};
  };
  const IrcIndex& grid = inner.shape();
  const RunMask runs = runs_of(inner);
  const Components components = connected_components(runs);
  std::vector<Part> parts(components.count);
  std::optional<Borders> borders;
  std::size_t layer = 0;
  each_run_of(runs, components, [&](const Run& run, std::size_t k, std::size_t i, std::size_t r) {
    if (!borders || layer != i) borders.emplace(sorted.air.layer(i));
    layer = i;
    Part& part = parts[k];
    part.cells += static_cast<std::size_t>(run.end - run.begin);
    const float* const hu = sorted.hu.data() + (i * static_cast<std::size_t>(grid.row) + r) *
                                                   static_cast<std::size_t>(grid.col);
    for (std::int32_t c = run.begin; c < run.end; ++c) part.hu += hu[c];
    const auto [all, thick] = borders->of(run, r);
    part.sides.all += all;
    part.sides.thick += thick;
  });
  std::size_t largest = 0;
  for (Part& part : parts) {
    part.is_kept = part.hu >= outside_hu * static_cast<double>(part.cells) && part.sides.all > 0 &&
                   static_cast<double>(part.sides.thick) >=
                       kLeastThickBorder * static_cast<double>(part.sides.all);
    if (part.is_kept) largest = std::max(largest, part.cells);
  }
  const double least =
      std::max(static_cast<double>(least_cells), kShareOfLargest * static_cast<double>(largest));
  Lungs lungs{Cells(grid), Cells(grid)};
  each_run_of(runs, components, [&](const Run& run, std::size_t k, std::size_t i, std::size_t r) {
    if (!parts[k].is_kept) return;
    Cells& home = static_cast<double>(parts[k].cells) < least ? lungs.small : lungs.large;
    set_run(home.layer(i).row(r), run);
  });
  return lungs;
}

// Closing by `closing` and growing by `margin` with two distances: growing by the closing's radius
// and shrinking by what is too much.
Cells close_and_grow(const Cells& lungs, const Xyz& step, double closing, double margin,
                     const Lanes& lanes) {
  const double reach = std::max(closing, margin);
  Cells grown = within(lungs, step, reach, lanes);
  const double back = reach - margin;
  if (back <= 0) return grown;
  Cells outside(lungs.shape());
  for (std::size_t i = 0; i < static_cast<std::size_t>(lungs.shape().index); ++i) {
    const Layer layer = outside.layer(i);
    for (std::size_t r = 0; r < layer.rows; ++r) {
      for (std::size_t w = 0; w < layer.words(); ++w) {
        layer.row(r)[w] = ~grown.layer(i).row(r)[w] & layer.all(w);
      }
    }
  }
  const Cells near_outside = within(outside, step, back, lanes);
  for (std::size_t k = 0; k < grown.words().size(); ++k) {
    // Shrinking must not lose lung: a cell's width is coarse against `back`.
    grown.words()[k] = (grown.words()[k] & ~near_outside.words()[k]) | lungs.words()[k];
  }
  return grown;
}

std::vector<std::uint8_t> as_bytes(const Cells& cells) {
  std::vector<std::uint8_t> bytes(count_of(cells.shape()));
  auto line = bytes.begin();
  for (std::size_t i = 0; i < static_cast<std::size_t>(cells.shape().index); ++i) {
    const ConstLayer layer = cells.layer(i);
    for (std::size_t r = 0; r < layer.rows; ++r) {
      each_run(layer.row(r), layer.cols, [&](std::size_t begin, std::size_t end) {
        std::fill(line + static_cast<std::ptrdiff_t>(begin),
                  line + static_cast<std::ptrdiff_t>(end), std::uint8_t{1});
      });
      line += static_cast<std::ptrdiff_t>(layer.cols);
    }
  }
  return bytes;
}

}  // namespace

LungRegion::LungRegion(IrcIndex shape, IrcIndex cell)
    : scan_shape(shape),
      block(cell),
      grid{(shape.index + cell.index - 1) / cell.index, (shape.row + cell.row - 1) / cell.row,
           (shape.col + cell.col - 1) / cell.col},
      cells(count_of(grid)) {}

bool LungRegion::contains(std::int64_t index, std::int64_t row, std::int64_t col) const noexcept {
  const auto cell =
      ((index / block.index) * grid.row + row / block.row) * grid.col + col / block.col;
  return cells[static_cast<std::size_t>(cell)] != 0;
}

bool LungRegion::contains(const Irc& place) const noexcept {
  const auto voxel = [](double at, std::int64_t n) {
    return std::clamp<std::int64_t>(std::llrint(at), 0, n - 1);
  };
  return contains(voxel(place.index, scan_shape.index), voxel(place.row, scan_shape.row),
                  voxel(place.col, scan_shape.col));
}

bool LungRegion::empty() const noexcept {
  return std::ranges::all_of(cells, [](std::uint8_t cell) { return cell == 0; });
}

LungRegion find_lung_region(const Volume& volume, const RegionOptions& options, int threads,
                            const Tick& tick) {
  const Xyz spacing = volume.geometry.spacing;
  const auto voxels_a_cell = [&](double mm) {
    return std::max<std::int64_t>(1, std::llrint(options.grid_mm / mm));
  };
  LungRegion region(volume.geometry.shape,
                    {voxels_a_cell(spacing.z), voxels_a_cell(spacing.y), voxels_a_cell(spacing.x)});
  const Xyz step{spacing.x * static_cast<double>(region.block.col),
                 spacing.y * static_cast<double>(region.block.row),
                 spacing.z * static_cast<double>(region.block.index)};
  const auto layers = static_cast<std::size_t>(region.grid.index);
  const Lanes lanes{threads, tick};

  Sorted sorted(region.grid);
  lanes.each(layers, [&](std::size_t i) { sort_air(volume, region, options, i, sorted); });

  const double cell_ml = step.x * step.y * step.z / 1000;
  const auto least_cells = static_cast<std::size_t>(std::ceil(options.min_lung_ml / cell_ml));
  auto [lungs, small] = keep_lungs(sorted.inner, sorted, least_cells, options.outside_hu);
  if (tick) tick();
  if (is_empty(lungs)) {
    // The field of view cuts the lungs open in every slice.
    lungs = keep_lungs(sorted.loose, sorted, least_cells, options.outside_hu).large;
  }
  include(small, sorted.loose);
  rejoin(lungs, std::move(small));
  if (tick) tick();

  const auto fill = [&](Cells& cells, double widest_mm) {
    const double cells_of_disc = std::numbers::pi / 4 * widest_mm * widest_mm / (step.x * step.y);
    lanes.each(layers, [&](std::size_t i) {
      fill_holes(cells.layer(i), static_cast<std::size_t>(cells_of_disc));
    });
  };
  fill(lungs, options.max_hole_mm);
  Cells found = close_and_grow(lungs, step, options.closing_mm, options.margin_mm, lanes);
  // The middle of a large mass on the chest wall is farther from lung than the closing reaches.
  constexpr double kMostMassMm = 30;
  fill(found, std::min(kMostMassMm, options.max_hole_mm));
  region.cells = as_bytes(found);
  return region;
}

}  // namespace lunart
