// The checksum that says whether a result belongs to a scan, whatever the scan's file format.
#pragma once

#include <cstdint>

#include "lunart/volume.hpp"
#include "pipeline/lanes.hpp"

namespace lunart {

// zlib's CRC-32 of the HU in stored order: little-endian int16 when all are whole numbers within
// int16, else little-endian float32. Does not depend on the number of lanes.
[[nodiscard]] std::uint32_t hu_crc32(const Volume& scan, const Lanes& lanes);

}  // namespace lunart
