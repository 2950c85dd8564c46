// A candidate of the region may reach out of it, where boxes do not answer as whole slices do. It
// is followed: what decides about it is segmented too, in boxes of its own, until every voxel of it
// is known. So boxes change no candidate that has a voxel in the region.
#pragma once

#include "pipeline/cells.hpp"
#include "pipeline/lanes.hpp"
#include "pipeline/region.hpp"

namespace lunart {

// Bits of voxels. Where `exact` is clear, the mask is a guess at best.
struct Known {
  explicit Known(const IrcIndex& shape) : mask(shape), exact(shape) {}

  Cells mask;
  Cells exact;
};

// Blocks of voxels that hold all voxels that are not exact and on which it depends whether the
// candidates (components of the mask, eroded so many times) that have a voxel in the region go on.
// Empty when none does.
[[nodiscard]] LungRegion undecided(const Known& known, const LungRegion& region, int erosion,
                                   const Lanes& lanes);

}  // namespace lunart
