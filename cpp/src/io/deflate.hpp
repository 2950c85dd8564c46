// Compression in memory.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "lunart/volume.hpp"

namespace lunart {

// To a zlib stream.
[[nodiscard]] std::vector<std::byte> deflated(std::span<const std::byte> bytes, const Tick& tick);
// The parts one after another, to a gzip file without a name and a time: the same for the same
// bytes.
[[nodiscard]] std::vector<std::byte> gzipped(std::span<const std::span<const std::byte>> parts,
                                             const Tick& tick);

}  // namespace lunart
