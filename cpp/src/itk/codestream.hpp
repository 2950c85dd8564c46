// What a compressed picture says of itself. Decoders trust it, and some write past the picture that
// the DICOM tags announce: the two are compared before.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace lunart {

struct CodestreamSize {
  std::uint32_t rows{}, cols{}, components{}, bits{};
};

// Of JPEG, JPEG-LS (frame header) and JPEG 2000 (SIZ), with or without its JP2 box; nothing when
// none is found, and when a JPEG's segments do not follow one another up to its picture: GDCM ends
// the program (assert) over such.
[[nodiscard]] std::optional<CodestreamSize> jpeg_size(std::span<const unsigned char> stream);
[[nodiscard]] std::optional<CodestreamSize> jpeg2000_size(std::span<const unsigned char> stream);

}  // namespace lunart
