// The coarse picture of a scan from which the lungs are found.
#pragma once

#include <vector>

#include "lunart/volume.hpp"

namespace lunart {

// Mean HU of each block of voxels in one layer of blocks, (row, col) order; the scan's last blocks
// may be smaller. What scanners pad with counts as -1024 HU: no tissue is below.
[[nodiscard]] std::vector<float> cell_means(const Volume& volume, const IrcIndex& block,
                                            std::int64_t layer);

}  // namespace lunart
