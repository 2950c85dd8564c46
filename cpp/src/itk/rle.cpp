#include "itk/rle.hpp"

#include <algorithm>
#include <cstdint>

namespace lunart {
namespace {

constexpr std::size_t kHeader = 64;  // the number of segments, and where each begins

std::size_t number_at(std::span<const char> codestream, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;) {
    value = value << 8U | static_cast<unsigned char>(codestream[at + i]);
  }
  return value;
}

// Writes each value `step` bytes after the one before. Whether there are enough for `out`.
bool unpack(std::span<const char> packed, std::span<char> out, std::size_t step) {
  std::size_t in = 0;
  std::size_t at = 0;
  while (at < out.size()) {
    if (in >= packed.size()) return false;
    const auto code = static_cast<unsigned char>(packed[in++]);
    constexpr unsigned char kNothing = 128;
    if (code == kNothing) continue;
    const bool is_run = code > kNothing;
    const std::size_t count = is_run ? 257U - code : code + 1U;
    if (in + (is_run ? 1 : count) > packed.size()) return false;
    for (std::size_t i = 0; i < count && at < out.size(); ++i, at += step) {
      out[at] = packed[is_run ? in : in + i];
    }
    in += is_run ? 1 : count;
  }
  return true;
}

}  // namespace

std::optional<std::vector<char>> unpacked_rle(std::span<const char> codestream, std::size_t pixels,
                                              std::size_t bytes) {
  if (codestream.size() < kHeader || number_at(codestream, 0) != bytes) return std::nullopt;
  std::vector<char> out(pixels * bytes);
  for (std::size_t segment = 0; segment < bytes; ++segment) {  // the highest byte first
    const std::size_t begin = number_at(codestream, 4 + 4 * segment);
    const std::size_t end =
        segment + 1 < bytes ? number_at(codestream, 8 + 4 * segment) : codestream.size();
    if (begin < kHeader || begin > end || end > codestream.size()) return std::nullopt;
    const std::size_t first = bytes - 1 - segment;
    if (!unpack(codestream.subspan(begin, end - begin), std::span(out).subspan(first), bytes)) {
      return std::nullopt;
    }
  }
  return out;
}

}  // namespace lunart
