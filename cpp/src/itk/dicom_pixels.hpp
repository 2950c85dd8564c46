// Pixels of one slice as stored: before slope and intercept.
#pragma once

#include <cstddef>
#include <istream>
#include <memory>
#include <string>
#include <vector>

#include "dicom/assemble.hpp"

namespace lunart {

// Owns what its span looks into.
struct StoredPixels {
  std::vector<char> bytes;
  dicom::Stored pixels;
};

// A file whose frames are wanted, one after another: uncompressed ones are read from where they
// lie, compressed ones decoded by GDCM. All throw Errc::scan, beginning with `name`.
class PixelFile {
 public:
  // A cut file, a layout that is no CT's, a transfer syntax that GDCM does not decode.
  PixelFile(std::unique_ptr<std::istream> stream, std::string name);
  ~PixelFile();
  PixelFile(const PixelFile&) = delete;
  PixelFile& operator=(const PixelFile&) = delete;

  // From 0. A damaged codestream, or one of another size than the tags say.
  [[nodiscard]] StoredPixels frame(std::size_t number);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lunart
