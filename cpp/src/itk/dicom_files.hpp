// The files that may be DICOM: of a folder with all its folders, of a zip, or the one file. They
// are opened one at a time; nothing is unpacked onto the disk.
#pragma once

#include <cstddef>
#include <filesystem>
#include <istream>
#include <memory>
#include <string>
#include <vector>

namespace lunart {

class DicomFiles {
 public:
  DicomFiles() = default;
  DicomFiles(const DicomFiles&) = delete;
  DicomFiles& operator=(const DicomFiles&) = delete;
  virtual ~DicomFiles() = default;

  // For people, in order.
  [[nodiscard]] virtual const std::vector<std::string>& names() const = 0;
  // Can seek; a stream at a time. Throws Errc::scan.
  [[nodiscard]] virtual std::unique_ptr<std::istream> open(std::size_t number) = 0;
};

// Throws Errc::scan: unreadable, damaged, or more files than any study has.
[[nodiscard]] std::unique_ptr<DicomFiles> open_dicom_files(const std::filesystem::path& path);

// The members of a zip. Throws Errc::scan.
[[nodiscard]] std::unique_ptr<DicomFiles> open_zip(const std::filesystem::path& path);

inline constexpr std::size_t kMostDicomFiles = std::size_t{1} << 18U;

}  // namespace lunart
