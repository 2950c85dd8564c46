// One slice's pixels as stored: before slope and intercept.
#pragma once

#include <istream>
#include <string>
#include <vector>

#include "dicom/assemble.hpp"

namespace lunart {

// Owns what its span looks into.
struct StoredPixels {
  std::vector<char> bytes;
  dicom::Stored pixels;
};

// Uncompressed pixels are read from where they lie; compressed ones are decoded by GDCM. Throws
// Errc::scan, beginning with `name`: cut, a layout that is no CT's, a transfer syntax that GDCM
// does not decode, a damaged codestream or one of another size.
[[nodiscard]] StoredPixels read_pixels(std::istream& stream, const std::string& name);

}  // namespace lunart
