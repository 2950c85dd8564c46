// DICOM scans: a folder, a zip or a file, by the rules of dicom/series.hpp.
#pragma once

#include <filesystem>
#include <vector>

#include "dicom/series.hpp"
#include "lunart/volume.hpp"

namespace lunart {

// Throws Errc::scan: no DICOM there, and everything that dicom::make_plan and Assembler throw;
// Errc::usage for a series that is not there.
[[nodiscard]] Volume read_dicom(const std::filesystem::path& path, const ReadOptions& options,
                                const Tick& tick);
[[nodiscard]] ScanHeader read_dicom_header(const std::filesystem::path& path,
                                           const ReadOptions& options, const Tick& tick);
// Usable ones first. Throws Errc::scan when there is none.
[[nodiscard]] std::vector<dicom::Series> list_dicom_series(const std::filesystem::path& path,
                                                           const Tick& tick);

}  // namespace lunart
