// Reader of NRRD scans (.nrrd; .nhdr with its data file) through ITK.
#pragma once

#include <filesystem>
#include <vector>

#include "lunart/volume.hpp"

namespace lunart {

// All throw Errc::scan.
[[nodiscard]] Volume read_nrrd(const std::filesystem::path& path, const Tick& tick);
[[nodiscard]] ScanHeader read_nrrd_scan_header(const std::filesystem::path& path);
[[nodiscard]] std::vector<std::filesystem::path> files_of_nrrd(const std::filesystem::path& path);

}  // namespace lunart
