// The header of a MetaImage file: "Key = Value" lines up to ElementDataFile. Meanings are those of
// Kitware's MetaIO (metaImage.cxx, metaObject.cxx) as SimpleITK 2.5 uses it; where MetaIO would
// guess or ignore (a value that is no number, a key given twice, a slope), this reader refuses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "io/element.hpp"
#include "lunart/geometry.hpp"

namespace lunart {

struct MetaImageHeader {
  std::filesystem::path path;
  std::string name;  // the path, for messages
  Geometry geometry;
  Element element{};
  std::string element_type;  // as the file names it
  bool is_binary{true};
  bool is_compressed{};
  bool is_swapped{};                              // voxels are not in this machine's byte order
  std::optional<std::uint64_t> compressed_bytes;  // CompressedDataSize, if given
  std::optional<std::uint64_t> skipped_bytes{0};  // HeaderSize; none: voxels end with the file (-1)
  std::string data_file;                          // ElementDataFile
  std::uint64_t data_offset{};                    // of the first byte after the header
  std::vector<std::string> lines_after;  // of a header that is followed by text: LIST's file names
  std::string series_uid;                // the DICOM tag or a stem that is a UID; empty if unknown
};

// Throws Errc::scan, naming file, key and value.
[[nodiscard]] MetaImageHeader read_metaimage_header(const std::filesystem::path& path);

}  // namespace lunart
