// Writer of MetaImage volumes: label masks, and generated scans.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

#include "lunart/geometry.hpp"
#include "lunart/volume.hpp"

namespace lunart {

// Writes x.mhd with x.zraw beside it (zlib), or x.mha. `voxels` are in (index, row, col) order, in
// this machine's byte order; `element_type` as the header names it: MET_UCHAR, MET_USHORT, ...
// The files are renamed into place, data first: whole or absent. SimpleITK reads back the same
// geometry to the last bit.
// Throws Errc::usage: another extension, an unknown type, another number of bytes; Errc::scan: an
// invalid geometry; Errc::output: it cannot be written.
void write_metaimage(const std::filesystem::path& path, const Geometry& geometry,
                     std::string_view element_type, std::span<const std::byte> voxels,
                     const Tick& tick = {});

}  // namespace lunart
