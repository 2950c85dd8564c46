#include "image/exif.hpp"

#include <cstdint>
#include <string>

namespace lunart {
namespace {

// Numbers of a TIFF file, whose first two bytes say which end comes first.
class Tiff {
 public:
  explicit Tiff(std::span<const std::byte> bytes)
      : bytes_(bytes), little_(!bytes.empty() && bytes[0] == std::byte{'I'}) {}

  [[nodiscard]] std::optional<std::uint32_t> number(std::size_t at, std::size_t length) const {
    if (at > bytes_.size() || length > bytes_.size() - at) return std::nullopt;
    std::uint32_t value = 0;
    for (std::size_t k = 0; k < length; ++k) {
      const std::byte b = bytes_[at + (little_ ? length - 1 - k : k)];
      value = (value << 8U) | std::to_integer<std::uint32_t>(b);
    }
    return value;
  }

 private:
  std::span<const std::byte> bytes_;
  bool little_;
};

// 1 to 8, of the first directory.
std::optional<std::uint32_t> orientation_of(const Tiff& tiff) {
  constexpr std::uint32_t kMagic = 42;
  constexpr std::uint32_t kOrientation = 0x112;
  constexpr std::uint32_t kShort = 3;
  constexpr std::size_t kEntry = 12;
  const auto directory = tiff.number(4, 4);
  if (tiff.number(2, 2) != kMagic || !directory) return std::nullopt;
  const auto entries = tiff.number(*directory, 2);
  if (!entries) return std::nullopt;
  for (std::size_t k = 0; k < *entries; ++k) {
    const std::size_t at = *directory + 2 + k * kEntry;
    const auto tag = tiff.number(at, 2);
    if (!tag) return std::nullopt;
    if (tag == kOrientation && tiff.number(at + 2, 2) == kShort) return tiff.number(at + 8, 2);
  }
  return std::nullopt;
}

}  // namespace

std::optional<Warning> orientation_warning(std::span<const std::byte> tiff) {
  const std::uint32_t found = orientation_of(Tiff(tiff)).value_or(1);
  if (found < 2 || found > 8) return std::nullopt;
  return Warning{"orientation", "its EXIF data say that it is turned or mirrored (orientation " +
                                    std::to_string(found) +
                                    "), which is not applied: turn the pixels first"};
}

}  // namespace lunart
