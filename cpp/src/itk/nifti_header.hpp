// The fields of a NIfTI-1 header (nifti1.h of the NIfTI data format working group) that say where
// the voxels are and what they mean. Its geometry is ITK's to read.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>

#include "io/element.hpp"

namespace lunart {

struct NiftiHeader {
  bool is_compressed{};                 // .nii.gz: the whole file is one gzip stream
  bool is_swapped{};                    // not in this machine's byte order
  std::array<std::int64_t, 3> shape{};  // col, row, index
  Element element{};
  std::uint64_t data_offset{};  // of the first voxel, in the stream
  Scaling scaling;
  bool has_orientation{};  // qform_code or sform_code
};

// Throws Errc::scan: no NIfTI-1 in one file, a type that is no CT's, 4-D, a scaling that says
// nothing.
[[nodiscard]] NiftiHeader read_nifti_header(const std::filesystem::path& path);

// As --info names it: int16.
[[nodiscard]] const char* name_of(Element element) noexcept;

}  // namespace lunart
