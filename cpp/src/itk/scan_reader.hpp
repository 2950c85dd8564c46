// What liblunart_itk.so offers to the rest: scans in the formats that need ITK or GDCM. No type of
// theirs crosses.
#pragma once

#include <filesystem>
#include <vector>

#include "dicom/series.hpp"
#include "io/scan_format.hpp"
#include "lunart/volume.hpp"

namespace lunart {

class __attribute__((visibility("default"))) ScanReader {
 public:
  ScanReader() = default;
  ScanReader(const ScanReader&) = delete;
  ScanReader& operator=(const ScanReader&) = delete;
  virtual ~ScanReader() = default;

  // Of NRRD, NIfTI or DICOM, as the functions of lunart/volume.hpp.
  [[nodiscard]] virtual Volume read(const std::filesystem::path& path, ScanFormat format,
                                    const ReadOptions& options, const Tick& tick) const = 0;
  [[nodiscard]] virtual ScanHeader header(const std::filesystem::path& path, ScanFormat format,
                                          const ReadOptions& options) const = 0;
  // Of NRRD: the header and its data file.
  [[nodiscard]] virtual std::vector<std::filesystem::path> files(const std::filesystem::path& path,
                                                                 ScanFormat format) const = 0;
  // Of a DICOM folder, zip or file, usable ones first. Throws Errc::scan when there is none.
  [[nodiscard]] virtual std::vector<dicom::Series> series(
      const std::filesystem::path& path) const = 0;
};

}  // namespace lunart
