// Which cells of a small grid with anisotropic spacing lie near others: exact Euclidean distances,
// one axis after the other, only as far as they are asked for.
#pragma once

#include "lunart/geometry.hpp"
#include "pipeline/cells.hpp"
#include "pipeline/lanes.hpp"

namespace lunart {

// The cells whose centre is at most `mm` from that of a cell of `cells`; cells are `step` apart
// (z for index, y for row, x for col).
[[nodiscard]] Cells within(const Cells& cells, const Xyz& step, double mm, const Lanes& lanes);

}  // namespace lunart
