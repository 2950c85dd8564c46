// Where nodules can be: the lungs, closed and grown, on a coarse grid of about 2 mm. The region
// only decides which boxes are segmented and which candidates stay; it never clips a mask.
#pragma once

#include <cstdint>
#include <vector>

#include "lunart/volume.hpp"

namespace lunart {

struct RegionOptions {
  double air_hu{-320};      // lung and other air is below
  double outside_hu{-940};  // plain air is below, lung is above: only plain air at a slice's
                            // border is outside the body, and no part of plain air is lung
  double grid_mm{2};
  double closing_mm{15};   // fills what juts into the lung from the pleura
  double margin_mm{6};     // beyond the closed lungs
  double min_lung_ml{5};   // smaller air is bowel gas or noise
  double max_hole_mm{60};  // a hole of a slice's lung up to this wide is tissue inside the lung
};

class LungRegion {
 public:
  LungRegion(IrcIndex scan_shape, IrcIndex block);

  [[nodiscard]] bool contains(const Irc& place) const noexcept;  // of the voxel it rounds to
  [[nodiscard]] bool contains(std::int64_t index, std::int64_t row,
                              std::int64_t col) const noexcept;
  [[nodiscard]] bool empty() const noexcept;

  IrcIndex scan_shape, block, grid;  // voxels, voxels a cell, cells
  std::vector<std::uint8_t> cells;   // 1 inside
};

// The same for every number of threads.
[[nodiscard]] LungRegion find_lung_region(const Volume& volume, const RegionOptions& options,
                                          int threads, const Tick& tick);

}  // namespace lunart
