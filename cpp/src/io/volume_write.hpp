// Volumes in the format that the file's name asks for.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

#include "lunart/geometry.hpp"
#include "lunart/volume.hpp"

namespace lunart {

inline constexpr std::string_view kVolumeExtensions = ".mhd, .mha, .nii or .nii.gz";
[[nodiscard]] bool is_volume_name(const std::filesystem::path& path);

// As write_metaimage (.mhd, .mha) or write_nifti (.nii, .nii.gz) does. `element_type` as MetaImage
// names it. Throws Errc::usage for another extension, and what they throw.
void write_volume(const std::filesystem::path& path, const Geometry& geometry,
                  std::string_view element_type, std::span<const std::byte> voxels,
                  const Tick& tick = {});

}  // namespace lunart
