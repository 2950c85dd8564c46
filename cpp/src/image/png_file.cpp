#include "image/png_file.hpp"

#include <zlib.h>

#include <algorithm>
#include <cctype>
#include <string_view>

#include "image/limits.hpp"
#include "io/text.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

constexpr std::array<std::uint8_t, 8> kSignature{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
constexpr std::size_t kFrame = 12;  // length, type and checksum of a chunk

struct Chunk {
  std::string_view type;
  std::span<const std::byte> data;
};

std::uint32_t big_endian(std::span<const std::byte> four) {
  std::uint32_t value = 0;
  for (const std::byte b : four.first(4)) value = (value << 8U) | std::to_integer<std::uint32_t>(b);
  return value;
}

// Walks through the chunks; every checksum is compared.
class Chunks {
 public:
  Chunks(std::span<const std::byte> content, const std::string& name)
      : left_(content.subspan(kSignature.size())), content_(content), name_(name) {}

  Chunk next() {
    if (left_.size() < kFrame) truncated("no end of the picture");
    const std::uint32_t length = big_endian(left_);
    const std::string_view type(reinterpret_cast<const char*>(left_.data()) + 4, 4);
    if (!std::ranges::all_of(type, [](unsigned char c) { return std::isalpha(c) != 0; })) {
      fail("holds no chunk at byte " + std::to_string(position()) + " but " + in_quotes(type));
    }
    if (length > left_.size() - kFrame) {
      truncated("chunk " + std::string(type) + " has " + std::to_string(length) + " bytes");
    }
    const auto named = left_.subspan(4, 4 + std::size_t{length});
    const auto sum = crc32_z(0, reinterpret_cast<const Bytef*>(named.data()), named.size());
    if (sum != big_endian(left_.subspan(8 + std::size_t{length}))) {
      fail("the checksum of its chunk " + std::string(type) + " at byte " +
           std::to_string(position()) + " is wrong: the file is damaged");
    }
    left_ = left_.subspan(kFrame + length);
    return {type, named.subspan(4)};
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(Errc::scan, name_ + ": " + what);
  }

 private:
  [[nodiscard]] std::size_t position() const { return content_.size() - left_.size(); }

  [[noreturn]] void truncated(const std::string& what) const {
    fail("is truncated: " + what + " at byte " + std::to_string(position()) +
         ", and the file has " + std::to_string(content_.size()) + " bytes");
  }

  std::span<const std::byte> left_;
  std::span<const std::byte> content_;
  const std::string& name_;
};

bool exists(PngColour colour, std::size_t depth) {
  switch (colour) {
    case PngColour::grey:
      return depth == 1 || depth == 2 || depth == 4 || depth == 8 || depth == 16;
    case PngColour::palette: return depth == 1 || depth == 2 || depth == 4 || depth == 8;
    case PngColour::rgb:
    case PngColour::grey_alpha:
    case PngColour::rgb_alpha: return depth == 8 || depth == 16;
  }
  return false;
}

PngFile header_of(const Chunk& chunk, const Chunks& chunks, const std::string& name) {
  constexpr std::size_t kBytes = 13;
  if (chunk.type != "IHDR" || chunk.data.size() != kBytes) {
    chunks.fail("does not begin with a PNG header (IHDR) but with " + in_quotes(chunk.type));
  }
  const auto byte = [&](std::size_t k) { return std::to_integer<std::uint8_t>(chunk.data[k]); };
  PngFile png;
  png.cols = big_endian(chunk.data);
  png.rows = big_endian(chunk.data.subspan(4));
  png.bit_depth = byte(8);
  png.colour = static_cast<PngColour>(byte(9));
  png.interlaced = byte(12) == 1;
  require_reasonable(png.rows, png.cols, name);
  if (!exists(png.colour, png.bit_depth)) {
    chunks.fail("its colour type " + std::to_string(byte(9)) + " with " + std::to_string(byte(8)) +
                " bits is none that PNG has");
  }
  if (byte(10) != 0 || byte(11) != 0 || byte(12) > 1) {
    chunks.fail("its compression, filter or interlace method is none that PNG has");
  }
  return png;
}

void read_palette(const Chunk& chunk, const Chunks& chunks, PngFile& png) {
  const std::size_t n = chunk.data.size();
  if (n == 0 || n % 3 != 0 || n > png.palette.size()) {
    chunks.fail("its palette has " + std::to_string(n) +
                " bytes; expected 3 for each of 1 to 256 "
                "colours");
  }
  std::ranges::transform(chunk.data, png.palette.begin(),
                         [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
}

bool has_several_frames(const Chunk& chunk) {
  return chunk.data.size() >= 4 && big_endian(chunk.data) > 1;
}

}  // namespace

std::size_t PngFile::channels() const {
  switch (colour) {
    case PngColour::grey:
    case PngColour::palette: return 1;
    case PngColour::grey_alpha: return 2;
    case PngColour::rgb: return 3;
    case PngColour::rgb_alpha: return 4;
  }
  return 0;
}

std::string PngFile::format() const {
  std::string kind = "grey";
  if (colour == PngColour::palette) kind = "palette";
  if (colour == PngColour::grey_alpha) kind = "grey with alpha";
  if (colour == PngColour::rgb) kind = "RGB";
  if (colour == PngColour::rgb_alpha) kind = "RGB with alpha";
  return "PNG, " + std::to_string(bit_depth) + "-bit " + kind + (interlaced ? ", interlaced" : "") +
         (animated ? ", animated" : "");
}

bool is_png(std::span<const std::byte> content) {
  return content.size() >= kSignature.size() &&
         std::ranges::equal(content.first(kSignature.size()), std::as_bytes(std::span(kSignature)));
}

PngFile parse_png(std::span<const std::byte> content, const std::string& name) {
  Chunks chunks(content, name);
  PngFile png = header_of(chunks.next(), chunks, name);
  bool has_palette = false;
  std::string_view before = "IHDR";
  while (true) {
    const Chunk chunk = chunks.next();
    if (chunk.type == "IEND") break;
    if (chunk.type == "IDAT") {
      if (!png.data.empty() && before != "IDAT") chunks.fail("its pixels lie in two places");
      png.data.push_back(chunk.data);
    } else if (chunk.type == "PLTE") {
      if (has_palette || !png.data.empty()) chunks.fail("has a palette where none may be");
      read_palette(chunk, chunks, png);
      has_palette = true;
    } else if (chunk.type == "eXIf") {
      png.exif = chunk.data;
    } else if (chunk.type == "acTL") {
      png.animated = png.animated || has_several_frames(chunk);
    } else if (std::isupper(static_cast<unsigned char>(chunk.type.front())) != 0) {
      chunks.fail("needs the chunk " + std::string(chunk.type) + ", which lunart does not know");
    }
    before = chunk.type;
  }
  if (png.data.empty()) chunks.fail("has no pixels (no chunk IDAT)");
  if (png.colour == PngColour::palette && !has_palette) chunks.fail("has no palette (PLTE)");
  return png;
}

}  // namespace lunart
