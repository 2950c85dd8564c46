// Compression to a zlib stream in memory.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "lunart/volume.hpp"

namespace lunart {

[[nodiscard]] std::vector<std::byte> deflated(std::span<const std::byte> bytes, const Tick& tick);

}  // namespace lunart
