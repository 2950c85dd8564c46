// Walking a small grid of cells in (index, row, col) order: neighbours in a slice, a slice's rim,
// and connected parts.
#pragma once

#include <cstdint>
#include <vector>

#include "lunart/geometry.hpp"

namespace lunart {

using Cells = std::vector<std::uint8_t>;  // 1 where something is

// Calls `use` for every neighbour of a cell in its slice.
template <class Use>
void beside(const IrcIndex& grid, std::size_t cell, const Use& use) {
  const auto nr = static_cast<std::size_t>(grid.row);
  const auto nc = static_cast<std::size_t>(grid.col);
  const std::size_t col = cell % nc;
  const std::size_t row = cell / nc % nr;
  if (col > 0) use(cell - 1);
  if (col + 1 < nc) use(cell + 1);
  if (row > 0) use(cell - nc);
  if (row + 1 < nr) use(cell + nc);
}

// Takes one 4- or 6-connected part out of `open` (set to 0) starting at `seed`; its cells
// are left in `part`. Within one slice, or across slices.
struct Flood {
  IrcIndex grid;
  bool across_slices;
  std::vector<std::size_t> part;

  void take(Cells& open, std::size_t seed) {
    const auto plane = static_cast<std::size_t>(grid.row * grid.col);
    part.clear();
    const auto visit = [&](std::size_t cell) {
      if (open[cell] == 0) return;
      open[cell] = 0;
      part.push_back(cell);
    };
    visit(seed);
    for (std::size_t next = 0; next < part.size(); ++next) {
      const std::size_t cell = part[next];
      beside(grid, cell, visit);
      if (!across_slices) continue;
      if (cell >= plane) visit(cell - plane);
      if (cell + plane < open.size()) visit(cell + plane);
    }
  }
};

// Calls `use` for every cell at the rim of its slice.
template <class Use>
void at_rim(const IrcIndex& grid, const Use& use) {
  std::size_t cell = 0;
  for (std::int64_t i = 0; i < grid.index; ++i) {
    for (std::int64_t r = 0; r < grid.row; ++r) {
      for (std::int64_t c = 0; c < grid.col; ++c, ++cell) {
        if (r == 0 || c == 0 || r + 1 == grid.row || c + 1 == grid.col) use(cell);
      }
    }
  }
}

}  // namespace lunart
