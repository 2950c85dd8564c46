// Reader of NIfTI-1 scans (.nii, .nii.gz): the geometry by ITK, which turns RAS into LPS; the
// voxels by ours, because ITK's library puts 0 for NaN, inflates what a file pretends, and holds
// the scan twice.
#pragma once

#include <filesystem>

#include "lunart/volume.hpp"

namespace lunart {

// Both throw Errc::scan.
[[nodiscard]] Volume read_nifti(const std::filesystem::path& path, const Tick& tick);
[[nodiscard]] ScanHeader read_nifti_scan_header(const std::filesystem::path& path);

}  // namespace lunart
