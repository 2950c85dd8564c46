// Where the voxels of a MetaImage lie: behind the header (LOCAL), in one file, in a LIST of files,
// or in files named by a pattern and a range. Only files inside the header's folder are read: a
// header that was sent by somebody else must not make us open /etc/passwd.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "io/metaimage_header.hpp"

namespace lunart {

struct DataPart {
  std::filesystem::path path;
  std::uint64_t first_byte{};  // voxels cannot begin before it: a LOCAL header's length
  std::size_t voxels{};
  bool is_compressed{};
};

// In the order of the voxels; together they hold all of them. Throws Errc::scan: a missing file, a
// file outside the folder, a list or range of another length than DimSize wants.
[[nodiscard]] std::vector<DataPart> data_parts(const MetaImageHeader& header);

}  // namespace lunart
