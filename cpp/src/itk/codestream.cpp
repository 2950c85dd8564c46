#include "itk/codestream.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace lunart {
namespace {

using Bytes = std::span<const unsigned char>;

std::uint32_t big(Bytes stream, std::size_t at, std::size_t bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) value = value << 8U | stream[at + i];
  return value;
}

constexpr unsigned char kScan = 0xDA;

bool is_frame_header(unsigned char marker) {
  constexpr unsigned char kJpegLs = 0xF7;
  constexpr std::array<unsigned char, 3> kOthers{0xC4, 0xC8, 0xCC};  // tables, reserved
  return marker == kJpegLs ||
         (marker >= 0xC0 && marker <= 0xCF && std::ranges::find(kOthers, marker) == kOthers.end());
}

// Of a version that GDCM does not know, over which it ends the program.
bool is_odd_jfif(unsigned char marker, Bytes segment) {
  constexpr unsigned char kApp0 = 0xE0;
  constexpr std::array<unsigned char, 5> kJfif{'J', 'F', 'I', 'F', 0};
  return marker == kApp0 && segment.size() > kJfif.size() &&
         std::ranges::equal(segment.first(kJfif.size()), kJfif) && segment[kJfif.size()] != 1;
}

}  // namespace

std::optional<CodestreamSize> jpeg_size(Bytes stream) {
  if (stream.size() < 2 || stream[0] != 0xFF || stream[1] != 0xD8) return std::nullopt;
  std::size_t at = 2;
  std::optional<CodestreamSize> found;
  constexpr std::size_t kFrameHeader = 10;
  while (at + kFrameHeader <= stream.size() && stream[at] == 0xFF) {
    const unsigned char marker = stream[at + 1];
    if (marker == 0xFF) {  // fill
      ++at;
      continue;
    }
    if (marker == kScan) return found;
    if (is_frame_header(marker)) {
      found = CodestreamSize{.rows = big(stream, at + 5, 2),
                             .cols = big(stream, at + 7, 2),
                             .components = stream[at + 9],
                             .bits = stream[at + 4]};
    }
    if (is_odd_jfif(marker, stream.subspan(at + 4))) return std::nullopt;
    at += 2 + std::max<std::size_t>(big(stream, at + 2, 2), 2);
  }
  return std::nullopt;
}

std::optional<CodestreamSize> jpeg2000_size(Bytes stream) {
  constexpr std::array<unsigned char, 4> kStart{0xFF, 0x4F, 0xFF, 0x51};  // SOC, SIZ
  const auto found = std::search(stream.begin(), stream.end(), kStart.begin(), kStart.end());
  constexpr std::size_t kSiz = 45;  // up to the first component
  if (stream.end() - found < static_cast<std::ptrdiff_t>(kSiz)) return std::nullopt;
  const Bytes siz = stream.subspan(static_cast<std::size_t>(found - stream.begin()));
  const std::uint32_t right = big(siz, 8, 4);
  const std::uint32_t bottom = big(siz, 12, 4);
  const std::uint32_t left = big(siz, 16, 4);
  const std::uint32_t top = big(siz, 20, 4);
  constexpr std::uint32_t kNotSubsampled = 0x0101;
  if (right <= left || bottom <= top || big(siz, 43, 2) != kNotSubsampled) return std::nullopt;
  return CodestreamSize{.rows = bottom - top,
                        .cols = right - left,
                        .components = big(siz, 40, 2),
                        .bits = (siz[42] & 0x7FU) + 1U};
}

}  // namespace lunart
