// The chunks of a PNG file (W3C Recommendation "Portable Network Graphics", third edition): which
// are there, whole and in order. No pixel is decoded.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lunart {

enum class PngColour : std::uint8_t {
  grey = 0,
  rgb = 2,
  palette = 3,
  grey_alpha = 4,
  rgb_alpha = 6,
};

struct PngFile {
  std::int64_t rows{}, cols{};
  std::size_t bit_depth{};
  PngColour colour{};
  bool interlaced{};
  bool animated{};                                           // APNG: more pictures follow the first
  std::array<std::uint8_t, std::size_t{3} * 256> palette{};  // black where the file has no entry
  std::vector<std::span<const std::byte>> data;  // zlib's stream, in the parts that it lies in
  std::span<const std::byte> exif{};

  [[nodiscard]] std::size_t channels() const;
  [[nodiscard]] std::size_t bits_a_pixel() const { return channels() * bit_depth; }
  [[nodiscard]] std::string format() const;  // PNG, 8-bit RGB, interlaced
};

[[nodiscard]] bool is_png(std::span<const std::byte> content);

// Views into `content`. Throws Errc::scan beginning with `name`: truncated, a checksum that is
// wrong, an unknown critical chunk, a size or type that PNG has not.
[[nodiscard]] PngFile parse_png(std::span<const std::byte> content, const std::string& name);

}  // namespace lunart
