// The few lines of a NRRD header that decide whether its voxels may be read at all: ITK asks for
// memory, follows any file name and takes 1 mm for a missing spacing before anything is compared.
// Format: teem.sourceforge.net/nrrd/format.html.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace lunart {

struct NrrdHeader {
  std::vector<std::int64_t> sizes;  // the fastest axis first
  std::string type, encoding;       // as the file names them
  bool is_compressed{};
  std::filesystem::path data;   // the file with the voxels: of an attached header the same
  std::uint64_t data_offset{};  // of the first byte that may be a voxel
  std::uint64_t data_bytes{};   // from there to the file's end
  bool has_skip{};              // "byte skip" or "line skip": where voxels begin is not known here
};

// Throws Errc::scan: no NRRD header, no spacing, a data file outside the header's folder, voxels
// spread over several files, an encoding that is neither raw, gzip, text nor hex, an axis order
// that ITK's versions disagree about.
[[nodiscard]] NrrdHeader read_nrrd_header(const std::filesystem::path& path);

}  // namespace lunart
