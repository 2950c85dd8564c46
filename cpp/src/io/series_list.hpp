// The series that a DICOM folder, zip or file holds.
#pragma once

#include <filesystem>
#include <vector>

#include "dicom/series.hpp"

namespace lunart {

// Usable ones first; empty for a scan that is no DICOM. Throws Errc::scan: no DICOM in the folder,
// or this build has no module for it.
[[nodiscard]] std::vector<dicom::Series> list_series(const std::filesystem::path& path);

}  // namespace lunart
