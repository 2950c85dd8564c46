#include "io/hu_crc32.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <span>
#include <type_traits>
#include <variant>
#include <vector>

namespace lunart {
namespace {

constexpr std::size_t kPiece = std::size_t{1} << 21U;  // voxels of one job

// Bytes of the values as a little-endian machine stores them as `Stored`, through a small buffer
// unless they lie like that already.
template <class Stored, class T>
std::uint32_t crc_of(std::span<const T> values) {
  auto crc = static_cast<std::uint32_t>(crc32(0, nullptr, 0));
  const auto add = [&](const void* bytes, std::size_t n) {
    crc = static_cast<std::uint32_t>(
        crc32(crc, static_cast<const Bytef*>(bytes), static_cast<uInt>(n)));
  };
  if constexpr (std::is_same_v<Stored, T> && std::endian::native == std::endian::little) {
    add(values.data(), values.size_bytes());
    return crc;
  }
  std::array<Stored, 4096> buffer{};
  while (!values.empty()) {
    const std::size_t n = std::min(values.size(), buffer.size());
    for (std::size_t k = 0; k < n; ++k) buffer[k] = static_cast<Stored>(values[k]);
    if constexpr (std::endian::native == std::endian::big) {
      for (std::size_t k = 0; k < n; ++k) {
        const auto bytes = std::as_writable_bytes(std::span(buffer).subspan(k, 1));
        std::ranges::reverse(bytes);
      }
    }
    add(buffer.data(), n * sizeof(Stored));
    values = values.subspan(n);
  }
  return crc;
}

bool are_shorts(std::span<const float> values) {
  constexpr auto kLow = static_cast<float>(std::numeric_limits<std::int16_t>::min());
  constexpr auto kHigh = static_cast<float>(std::numeric_limits<std::int16_t>::max());
  return std::ranges::all_of(values,
                             [](float v) { return v >= kLow && v <= kHigh && v == std::trunc(v); });
}

template <class Stored, class T>
std::uint32_t crc_in_lanes(std::span<const T> values, const Lanes& lanes) {
  const auto piece = [&](std::size_t k) {
    return values.subspan(k * kPiece, std::min(kPiece, values.size() - k * kPiece));
  };
  std::vector<std::uint32_t> parts((values.size() + kPiece - 1) / kPiece);
  lanes.each(parts.size(), [&](std::size_t k) { parts[k] = crc_of<Stored>(piece(k)); });
  auto crc = static_cast<std::uint32_t>(crc32(0, nullptr, 0));
  for (std::size_t k = 0; k < parts.size(); ++k) {
    const auto bytes = static_cast<z_off_t>(piece(k).size() * sizeof(Stored));
    crc = static_cast<std::uint32_t>(crc32_combine(crc, parts[k], bytes));
  }
  return crc;
}

}  // namespace

std::uint32_t hu_crc32(const Volume& scan, const Lanes& lanes) {
  if (const auto* shorts = std::get_if<std::span<const std::int16_t>>(&scan.hu)) {
    return crc_in_lanes<std::int16_t>(*shorts, lanes);
  }
  const auto floats = std::get<std::span<const float>>(scan.hu);
  return are_shorts(floats) ? crc_in_lanes<std::int16_t>(floats, lanes)
                            : crc_in_lanes<float>(floats, lanes);
}

}  // namespace lunart
