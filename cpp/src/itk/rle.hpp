// DICOM's RLE (PS3.5, annex G), read by ourselves: GDCM ends the program (assert) over a damaged
// one.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace lunart {

// `pixels` values of `bytes` bytes each, lowest byte first; nothing when the codestream is damaged
// or of another size.
[[nodiscard]] std::optional<std::vector<char>> unpacked_rle(std::span<const char> codestream,
                                                            std::size_t pixels, std::size_t bytes);

}  // namespace lunart
