// Exact Euclidean distance on a small grid with anisotropic spacing (Felzenszwalb and Huttenlocher
// 2012, "Distance Transforms of Sampled Functions"): one lower envelope of parabolas a line.
#pragma once

#include <cstdint>
#include <vector>

#include "lunart/geometry.hpp"

namespace lunart {

// Squared millimetres from every cell to the nearest cell that is not zero; infinite when there is
// none. Cells are in (index, row, col) order, `step` apart (z for index, y for row, x for col).
[[nodiscard]] std::vector<float> squared_distance(const std::vector<std::uint8_t>& cells,
                                                  const IrcIndex& shape, const Xyz& step);

}  // namespace lunart
