// Which format a scan is in, by its extension, and for DICOM by its first bytes.
#pragma once

#include <filesystem>

namespace lunart {

enum class ScanFormat { metaimage, nrrd, nifti, dicom };

// Throws Errc::scan: no such file, a picture, or a format that lunart does not read.
[[nodiscard]] ScanFormat format_of_scan(const std::filesystem::path& path);

// As a message names it.
[[nodiscard]] const char* name_of(ScanFormat format) noexcept;

}  // namespace lunart
