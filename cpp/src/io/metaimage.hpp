// Reader of MetaImage scans (.mhd with its data files, .mha).
#pragma once

#include <filesystem>

#include "lunart/volume.hpp"

namespace lunart {

[[nodiscard]] Volume read_metaimage(const std::filesystem::path& path, const Tick& tick);

}  // namespace lunart
