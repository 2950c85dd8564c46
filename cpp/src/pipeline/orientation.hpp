// Which way up the networks see a scan: one of 48 exact flips and permutations of the voxel axes.
// Nothing is resampled, so an oblique direction stays oblique.
#pragma once

#include <array>

#include "lunart/volume.hpp"

namespace lunart {

// Axis a (0 index, 1 row, 2 col) of the oriented scan is axis `axis[a]` of the stored one, counted
// from its far end where `flip[a]`.
struct Orientation {
  std::array<int, 3> axis{0, 1, 2};
  std::array<bool, 3> flip{false, false, false};

  [[nodiscard]] bool is_identity() const noexcept;
  [[nodiscard]] IrcIndex oriented_shape(const IrcIndex& stored) const noexcept;
  [[nodiscard]] Irc to_stored(const Irc& oriented, const IrcIndex& stored_shape) const noexcept;
};

// The orientation in which col, row and index run closest to the patient's left, posterior and
// superior (LPS).
[[nodiscard]] Orientation nearest_lps(const Geometry& stored) noexcept;

// The scan turned that way; shares the voxels where nothing has to move.
[[nodiscard]] Volume orient(const Volume& stored, const Orientation& orientation, const Tick& tick);

}  // namespace lunart
