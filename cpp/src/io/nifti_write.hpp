// Writer of NIfTI-1 volumes: label masks for programs that read no MetaImage
// (https://nifti.nimh.nih.gov/nifti-1).
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "io/element.hpp"
#include "lunart/geometry.hpp"
#include "lunart/volume.hpp"

namespace lunart {

// Writes x.nii, or x.nii.gz. `voxels` are in (index, row, col) order, in this machine's byte order.
// The place in the patient is written as sform and, where the axes are at right angles, as qform
// too; both in NIfTI's right, anterior, superior. The file is whole or absent, and the same for the
// same voxels. Throws Errc::usage: an element that NIfTI-1 lacks, another number of bytes, a side
// of more than 32767 voxels; Errc::scan: an invalid geometry; Errc::output: it cannot be written.
void write_nifti(const std::filesystem::path& path, const Geometry& geometry, Element element,
                 std::span<const std::byte> voxels, const Tick& tick = {});

}  // namespace lunart
