// Crops around candidates through a 3-D network, in batches.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "engines/engine.hpp"
#include "lunart/volume.hpp"
#include "pipeline/hu_window.hpp"

namespace lunart {

// What a crop holds that would reach beyond the scan: neighbours, the crop being shifted inside as
// in Deep Learning with PyTorch, or window.low, the candidate staying in the middle.
enum class CropBorder { shift, pad };

struct ClassifyOptions {
  HuWindow window{};
  IrcIndex crop{32, 48, 48};
  CropBorder border = CropBorder::shift;
  // Distance of a crop's voxels on every axis, in mm; without it they are the scan's own.
  std::optional<double> spacing_mm;
};

// The crop around a centre, clamped, into `to` (room for a crop); the rule is below.
void copy_crop(const Volume& volume, const Irc& centre, const ClassifyOptions& options, float* to);

// Probability of the positive class for the crop around each centre. The crop starts at the centre,
// rounded half to even as NumPy does, less half its size; with CropBorder::shift it is shifted
// inside the scan, and where the scan is shorter than the crop it holds the whole scan. Beyond the
// scan it holds window.low.
//
// With spacing_mm the crop's middle, between two voxels where its size is even, is the centre
// itself and each of its voxels is interpolated linearly between the scan's eight around it,
// clamped before; a place beyond the scan's outermost voxels lies between them and window.low.
// Borders are those of CropBorder::pad then, whatever `border` says.
//
// `step(done, total)` is called before the first batch and after each,
// and may throw. Throws Errc::engine when a probability is not a number.
[[nodiscard]] std::vector<double> classify(
    const Volume& volume, std::span<const Irc> centres, const Network& network,
    const ClassifyOptions& options, const std::function<void(std::size_t, std::size_t)>& step);

}  // namespace lunart
