// A picture in 8-bit RGB, as decoded: no resizing, no gamma, no turning.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "lunart/export.hpp"
#include "lunart/result.hpp"

namespace lunart {

struct Image {
  std::int64_t rows{}, cols{};
  std::vector<std::uint8_t> rgb{};  // (row, col, channel), contiguous
  std::string path{};               // where it was read; empty when it came from memory
  double read_s{};                  // how long that took
  std::vector<Warning> warnings{};
};

// What `--info` shows without decoding a pixel.
struct ImageHeader {
  std::int64_t rows{}, cols{};
  std::string format;  // PNG, 8-bit RGB, interlaced
};

// Reads a PNG of any kind, or a JPEG where libjpeg is, as Pillow's convert("RGB") does: alpha is
// dropped, grey repeated, a palette looked up. Throws Errc::scan naming the file, the value and the
// way out: missing, truncated, damaged, too large, another format.
[[nodiscard]] LUNART_API Image read_image(const std::filesystem::path& path);
[[nodiscard]] LUNART_API ImageHeader read_image_header(const std::filesystem::path& path);

// Whether a file is a picture rather than a scan, by its first bytes, else by its name.
[[nodiscard]] LUNART_API bool is_picture(const std::filesystem::path& path);

}  // namespace lunart
