// A CT scan in Hounsfield units with its geometry, as stored: no resampling, no reorientation.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "lunart/export.hpp"
#include "lunart/geometry.hpp"
#include "lunart/read_options.hpp"
#include "lunart/warning.hpp"

namespace lunart {

// Called now and then by long work; throws to stop it (the exception passes unchanged).
using Tick = std::function<void()>;

struct Volume {
  Geometry geometry;
  // Voxels in (index, row, col) order, contiguous. int16 whenever that is exact, else float.
  std::variant<std::span<const std::int16_t>, std::span<const float>> hu;
  std::shared_ptr<const void> storage;  // owns what `hu` points to: a vector, a file, an array
  std::string series_uid;               // the DICOM tag or a stem that is a UID; empty if unknown
  std::string path;                     // where it was read; empty when it came from memory
  std::vector<Warning> warnings;        // what its reader mended or left out
};

// What `--info` shows without reading a voxel.
struct ScanHeader {
  Geometry geometry;
  std::string element_type;  // as the file names it: MET_SHORT
  bool compressed{};
  std::string series_uid;
};

// Reads a scan by what it is: MetaImage (.mhd with .raw, .zraw, ...; .mha); where this build has
// its ITK module also NRRD, NIfTI, and DICOM: a folder, a zip or a file. Throws Errc::scan naming
// the file, the value and the way out: missing, truncated, wrong-sized, not three-dimensional, NaN,
// ...; Errc::usage for a series that is not there, or options for what is no DICOM.
[[nodiscard]] LUNART_API Volume read_scan(const std::filesystem::path& path, const Tick& tick = {});
[[nodiscard]] LUNART_API Volume read_scan(const std::filesystem::path& path,
                                          const ReadOptions& options, const Tick& tick = {});
[[nodiscard]] LUNART_API ScanHeader read_scan_header(const std::filesystem::path& path,
                                                     const ReadOptions& options = {});
// The header and every file that holds its voxels; of a folder all its files.
[[nodiscard]] LUNART_API std::vector<std::filesystem::path> files_of_scan(
    const std::filesystem::path& path);

}  // namespace lunart
