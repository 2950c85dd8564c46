#include "pipeline/region.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>

#include "pipeline/cells.hpp"
#include "pipeline/distance.hpp"

namespace lunart {
namespace {

constexpr float kPaddingHu = -1024;  // scanners pad with -2000 or -3024; no tissue is below this

std::size_t count_of(const IrcIndex& shape) {
  return static_cast<std::size_t>(shape.index * shape.row * shape.col);
}

// Mean HU of each cell's block of voxels.
std::vector<float> block_means(const Volume& volume, const LungRegion& region, const Tick& tick) {
  const IrcIndex n = volume.geometry.shape;
  const IrcIndex b = region.block;
  const IrcIndex g = region.grid;
  std::vector<float> sums(count_of(g));
  const auto plane = static_cast<std::size_t>(g.row * g.col);
  std::visit(
      [&](auto voxels) {
        std::size_t at = 0;
        for (std::int64_t i = 0; i < n.index; ++i) {
          if (tick) tick();
          float* layer = sums.data() + static_cast<std::size_t>(i / b.index) * plane;
          for (std::int64_t r = 0; r < n.row; ++r) {
            float* line = layer + (r / b.row) * g.col;
            for (std::int64_t c = 0; c < n.col;) {
              const std::int64_t end = std::min(c + b.col, n.col);
              float sum = 0;
              for (; c < end; ++c, ++at) {
                sum += std::max(static_cast<float>(voxels[at]), kPaddingHu);
              }
              *line++ += sum;
            }
          }
        }
      },
      volume.hu);
  std::size_t cell = 0;
  for (std::int64_t i = 0; i < g.index; ++i) {
    for (std::int64_t r = 0; r < g.row; ++r) {
      for (std::int64_t c = 0; c < g.col; ++c, ++cell) {
        const auto voxels = std::min(b.index, n.index - i * b.index) *
                            std::min(b.row, n.row - r * b.row) * std::min(b.col, n.col - c * b.col);
        sums[cell] /= static_cast<float>(voxels);
      }
    }
  }
  return sums;
}

// Air that belongs to no body: what reaches a slice's rim where that is plain air. Slice by slice,
// so that an open mouth joins nothing. What is taken out of `air` is returned.
Cells remove_outside(Cells& air, const std::vector<float>& hu, const IrcIndex& grid,
                     double outside_hu) {
  Cells outside(air.size());
  Flood flood{grid, false, {}};
  at_rim(grid, [&](std::size_t cell) {
    if (air[cell] == 0 || hu[cell] >= static_cast<float>(outside_hu)) return;
    flood.take(air, cell);
    for (const std::size_t taken : flood.part) outside[taken] = 1;
  });
  return outside;
}

// Takes plain air that reaches the rim, and a few cells around it (skin, cloth), out of `outside`.
// What is left may be lung that the round field of view cuts open.
void remove_plain_air(Cells& outside, const std::vector<float>& hu, const IrcIndex& grid,
                      double outside_hu) {
  constexpr int kCellsAround = 3;
  Cells plain(hu.size());
  std::ranges::transform(hu, plain.begin(), [&](float mean) {
    return static_cast<std::uint8_t>(mean < static_cast<float>(outside_hu) ? 1 : 0);
  });
  std::vector<std::size_t> front;
  std::vector<std::size_t> next;
  Flood flood{grid, false, {}};
  at_rim(grid, [&](std::size_t cell) {
    if (plain[cell] == 0) return;
    flood.take(plain, cell);
    front.insert(front.end(), flood.part.begin(), flood.part.end());
  });
  for (const std::size_t cell : front) outside[cell] = 0;
  for (int step = 0; step < kCellsAround; ++step) {
    next.clear();
    for (const std::size_t cell : front) {
      beside(grid, cell, [&](std::size_t neighbour) {
        if (outside[neighbour] == 0) return;
        outside[neighbour] = 0;
        next.push_back(neighbour);
      });
    }
    front.swap(next);
  }
}

Cells either(Cells a, const Cells& b) {
  std::ranges::transform(a, b, a.begin(), std::bit_or<>{});
  return a;
}

// Lung that was taken for outside in some slices: it goes on from lung in others.
void rejoin(Cells& lungs, Cells loose, const IrcIndex& grid) {
  loose = either(std::move(loose), lungs);
  Flood flood{grid, true, {}};
  for (std::size_t cell = 0; cell < lungs.size(); ++cell) {
    if (lungs[cell] == 0 || loose[cell] == 0) continue;
    flood.take(loose, cell);
    for (const std::size_t lung : flood.part) lungs[lung] = 1;
  }
}

double mean_of(const std::vector<float>& hu, const std::vector<std::size_t>& part) {
  double sum = 0;
  for (const std::size_t cell : part) sum += hu[cell];
  return sum / static_cast<double>(part.size());
}

// Lung borders on chest wall, mediastinum or diaphragm; the inside of a hollow table borders on
// thin plates. Of the sides of the part's cells that meet no air, the share behind which that goes
// on.
double share_of_thick_border(const std::vector<std::size_t>& part, const Cells& air,
                             const IrcIndex& grid) {
  constexpr std::int64_t kThickCells = 4;
  const std::int64_t nc = grid.col;
  struct Way {
    std::int64_t row, col;
  };
  constexpr std::array<Way, 4> kWays{{{-1, 0}, {1, 0}, {0, -1}, {0, 1}}};
  std::size_t border = 0;
  std::size_t thick = 0;
  for (const std::size_t cell : part) {
    const auto at = static_cast<std::int64_t>(cell);
    const std::int64_t row = at / nc % grid.row;
    const std::int64_t col = at % nc;
    for (const Way way : kWays) {
      std::int64_t depth = 0;
      while (depth < kThickCells) {
        const std::int64_t r = row + (depth + 1) * way.row;
        const std::int64_t c = col + (depth + 1) * way.col;
        if (r < 0 || c < 0 || r >= grid.row || c >= nc) break;
        if (air[static_cast<std::size_t>(at + (r - row) * nc + (c - col))] != 0) break;
        ++depth;
      }
      border += depth > 0 ? 1 : 0;
      thick += depth == kThickCells ? 1 : 0;
    }
  }
  return border == 0 ? 0 : static_cast<double>(thick) / static_cast<double>(border);
}

struct Parts {
  Cells lungs;
  Cells small;  // as lungs, but small: may go on from lung in other slices
};

// The 3-D parts of `inner` that can be lung: no plain air (bowel gas, a lone trachea), bordering on
// thick tissue. `air` is all air, the outside's too.
Parts keep_lungs(Cells inner, const Cells& air, const std::vector<float>& hu, const IrcIndex& grid,
                 std::size_t least_cells, double outside_hu) {
  constexpr double kShareOfLargest = 0.05;
  constexpr double kLeastThickBorder = 0.5;
  std::vector<std::vector<std::size_t>> parts;
  std::size_t largest = 0;
  Flood flood{grid, true, {}};
  for (std::size_t cell = 0; cell < inner.size(); ++cell) {
    if (inner[cell] == 0) continue;
    flood.take(inner, cell);
    if (mean_of(hu, flood.part) < outside_hu ||
        share_of_thick_border(flood.part, air, grid) < kLeastThickBorder) {
      continue;
    }
    largest = std::max(largest, flood.part.size());
    parts.push_back(flood.part);
  }
  Parts out{Cells(air.size()), Cells(air.size())};
  const double least =
      std::max(static_cast<double>(least_cells), kShareOfLargest * static_cast<double>(largest));
  for (const auto& part : parts) {
    Cells& home = static_cast<double>(part.size()) < least ? out.small : out.lungs;
    for (const std::size_t cell : part) home[cell] = 1;
  }
  return out;
}

// Vessels and masses inside the lung of a slice.
void fill_holes(Cells& lungs, const IrcIndex& grid, std::size_t most_cells) {
  Cells open(lungs.size());
  std::ranges::transform(lungs, open.begin(), [](std::uint8_t lung) {
    return static_cast<std::uint8_t>(lung == 0 ? 1 : 0);
  });
  Flood flood{grid, false, {}};
  at_rim(grid, [&](std::size_t cell) {
    if (open[cell] != 0) flood.take(open, cell);
  });
  for (std::size_t cell = 0; cell < open.size(); ++cell) {
    if (open[cell] == 0) continue;
    flood.take(open, cell);
    if (flood.part.size() > most_cells) continue;
    for (const std::size_t inside : flood.part) lungs[inside] = 1;
  }
}

// Closing by `closing` and growing by `margin` in two distance fields: growing by the closing's
// radius and shrinking by what is too much.
Cells close_and_grow(const Cells& lungs, const IrcIndex& grid, const Xyz& step, double closing,
                     double margin) {
  const double reach = std::max(closing, margin);
  Cells grown(lungs.size());
  std::ranges::transform(squared_distance(lungs, grid, step), grown.begin(), [&](float d2) {
    return static_cast<std::uint8_t>(d2 <= reach * reach ? 1 : 0);
  });
  const double back = reach - margin;
  if (back <= 0) return grown;
  Cells outside(grown.size());
  std::ranges::transform(grown, outside.begin(), [](std::uint8_t in) {
    return static_cast<std::uint8_t>(in == 0 ? 1 : 0);
  });
  std::ranges::transform(squared_distance(outside, grid, step), grown.begin(), [&](float d2) {
    return static_cast<std::uint8_t>(d2 > back * back ? 1 : 0);
  });
  // Shrinking must not lose lung: a cell's width is coarse against `back`.
  for (std::size_t cell = 0; cell < grown.size(); ++cell) grown[cell] |= lungs[cell];
  return grown;
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

std::optional<LungRegion::Extent> LungRegion::extent(std::int64_t index) const noexcept {
  Extent e{grid.row, 0, grid.col, 0};
  const std::uint8_t* cell = cells.data() + (index / block.index) * grid.row * grid.col;
  for (std::int64_t r = 0; r < grid.row; ++r) {
    for (std::int64_t c = 0; c < grid.col; ++c) {
      if (*cell++ == 0) continue;
      e.row_begin = std::min(e.row_begin, r);
      e.row_end = std::max(e.row_end, r + 1);
      e.col_begin = std::min(e.col_begin, c);
      e.col_end = std::max(e.col_end, c + 1);
    }
  }
  if (e.row_end == 0) return std::nullopt;
  return Extent{e.row_begin * block.row, std::min(e.row_end * block.row, scan_shape.row),
                e.col_begin * block.col, std::min(e.col_end * block.col, scan_shape.col)};
}

LungRegion find_lung_region(const Volume& volume, const RegionOptions& options, const Tick& tick) {
  const Xyz spacing = volume.geometry.spacing;
  const auto voxels_a_cell = [&](double mm) {
    return std::max<std::int64_t>(1, std::llrint(options.grid_mm / mm));
  };
  LungRegion region(volume.geometry.shape,
                    {voxels_a_cell(spacing.z), voxels_a_cell(spacing.y), voxels_a_cell(spacing.x)});
  const Xyz step{spacing.x * static_cast<double>(region.block.col),
                 spacing.y * static_cast<double>(region.block.row),
                 spacing.z * static_cast<double>(region.block.index)};

  const std::vector<float> hu = block_means(volume, region, tick);
  Cells air(hu.size());
  std::ranges::transform(hu, air.begin(), [&](float mean) {
    return static_cast<std::uint8_t>(mean < static_cast<float>(options.air_hu) ? 1 : 0);
  });
  if (tick) tick();
  Cells inner = air;
  Cells loose = remove_outside(inner, hu, region.grid, options.outside_hu);
  const double cell_ml = step.x * step.y * step.z / 1000;
  const auto least_cells = static_cast<std::size_t>(std::ceil(options.min_lung_ml / cell_ml));
  auto [lungs, small] =
      keep_lungs(std::move(inner), air, hu, region.grid, least_cells, options.outside_hu);
  if (tick) tick();
  remove_plain_air(loose, hu, region.grid, options.outside_hu);
  if (std::ranges::find(lungs, 1) == lungs.end()) {
    // The field of view cuts the lungs open in every slice.
    lungs = keep_lungs(loose, air, hu, region.grid, least_cells, options.outside_hu).lungs;
  }
  rejoin(lungs, either(std::move(loose), small), region.grid);
  if (tick) tick();
  const auto cells_of_disc = [&](double mm) {
    return static_cast<std::size_t>(std::numbers::pi / 4 * mm * mm / (step.x * step.y));
  };
  fill_holes(lungs, region.grid, cells_of_disc(options.max_hole_mm));
  if (tick) tick();
  region.cells = close_and_grow(lungs, region.grid, step, options.closing_mm, options.margin_mm);
  // The middle of a large mass on the chest wall is farther from lung than the closing reaches.
  constexpr double kMostMassMm = 30;
  fill_holes(region.cells, region.grid, cells_of_disc(std::min(kMostMassMm, options.max_hole_mm)));
  return region;
}

}  // namespace lunart
