#include "image/decode_png.hpp"

#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "image/exif.hpp"
#include "image/png_file.hpp"
#include "io/inflate.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

using Bytes = std::vector<std::uint8_t>;

// The stream of all IDAT chunks, inflated as it is asked for and never further.
class PixelStream {
 public:
  PixelStream(const PngFile& png, const std::string& name) : png_(png), name_(name) {
    if (inflateInit(&stream_) != Z_OK) {
      throw Error(Errc::scan, name_ + ": zlib has no memory to decompress");
    }
  }
  ~PixelStream() { inflateEnd(&stream_); }
  PixelStream(const PixelStream&) = delete;
  PixelStream& operator=(const PixelStream&) = delete;

  void read(std::span<std::uint8_t> into) {
    stream_.next_out = into.data();
    stream_.avail_out = static_cast<uInt>(into.size());
    while (stream_.avail_out > 0) {
      refill();
      const int status = inflate(&stream_, Z_NO_FLUSH);
      if (status == Z_OK) continue;
      if (status == Z_STREAM_END && stream_.avail_out == 0) return;
      const bool ended = status == Z_STREAM_END || status == Z_BUF_ERROR;
      throw Error(Errc::scan, name_ + ": its pixels are " +
                                  (ended ? "truncated" : "damaged: " + message(status)));
    }
  }

 private:
  void refill() {
    while (stream_.avail_in == 0 && part_ < png_.data.size()) {
      const auto part = png_.data[part_++];
      // zlib does not write to its input, but its older headers lack the const.
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(part.data()));
      stream_.avail_in = static_cast<uInt>(part.size());  // a chunk's length has 32 bits
    }
  }

  [[nodiscard]] std::string message(int status) const {
    return stream_.msg != nullptr ? stream_.msg : "zlib says " + std::to_string(status);
  }

  const PngFile& png_;
  const std::string& name_;
  z_stream stream_{};
  std::size_t part_{};
};

// One of the pictures of an interlaced file (Adam7), or the whole.
struct Pass {
  std::int64_t row, col, row_step, col_step;

  [[nodiscard]] std::int64_t rows_of(const PngFile& png) const {
    return (png.rows - row + row_step - 1) / row_step;
  }
  [[nodiscard]] std::int64_t cols_of(const PngFile& png) const {
    return (png.cols - col + col_step - 1) / col_step;
  }
};

std::span<const Pass> passes_of(const PngFile& png) {
  static constexpr Pass kWhole[]{{0, 0, 1, 1}};
  static constexpr Pass kAdam7[]{{0, 0, 8, 8}, {0, 4, 8, 8}, {4, 0, 8, 4}, {0, 2, 4, 4},
                                 {2, 0, 4, 2}, {0, 1, 2, 2}, {1, 0, 2, 1}};
  return png.interlaced ? std::span<const Pass>(kAdam7) : std::span<const Pass>(kWhole);
}

std::size_t bytes_a_row(const PngFile& png, std::int64_t cols) {
  return (static_cast<std::size_t>(cols) * png.bits_a_pixel() + 7) / 8;
}

void require_enough_data(const PngFile& png, const std::string& name) {
  std::uint64_t held = 0;
  for (const auto& part : png.data) held += part.size();
  const std::uint64_t needed =
      static_cast<std::uint64_t>(png.rows) * (bytes_a_row(png, png.cols) + 1);
  if (could_inflate(held, needed)) return;
  throw Error(Errc::scan, name + ": declares " + std::to_string(png.rows) + "x" +
                              std::to_string(png.cols) + " pixels, which its " +
                              std::to_string(held) + " bytes of data cannot hold");
}

std::uint8_t paeth(int left, int up, int up_left) {
  const int estimate = left + up - up_left;
  const int by_left = std::abs(estimate - left);
  const int by_up = std::abs(estimate - up);
  const int by_up_left = std::abs(estimate - up_left);
  if (by_left <= by_up && by_left <= by_up_left) return static_cast<std::uint8_t>(left);
  return static_cast<std::uint8_t>(by_up <= by_up_left ? up : up_left);
}

// Undoes the filter of a row in place; `above` is the row before, zeros for the first. False when
// there is no such filter. `step`: bytes from a pixel to the next, at least 1.
bool unfilter(int filter, std::size_t step, const Bytes& above, std::span<std::uint8_t> row) {
  const auto add = [&](auto predicted) {
    for (std::size_t k = 0; k < row.size(); ++k) {
      const int left = k < step ? 0 : row[k - step];
      const int up_left = k < step ? 0 : above[k - step];
      row[k] = static_cast<std::uint8_t>(row[k] + predicted(left, int{above[k]}, up_left));
    }
  };
  switch (filter) {
    case 0: return true;
    case 1: add([](int left, int, int) { return left; }); return true;
    case 2: add([](int, int up, int) { return up; }); return true;
    case 3: add([](int left, int up, int) { return (left + up) / 2; }); return true;
    case 4: add(paeth); return true;
    default: return false;
  }
}

// 8-bit RGB of a row's pixels, whatever they are stored as.
class Expander {
 public:
  explicit Expander(const PngFile& png) : png_(png) {}

  void operator()(const Bytes& row, std::size_t pixel, std::uint8_t* rgb) const {
    switch (png_.colour) {
      case PngColour::rgb:
      case PngColour::rgb_alpha:
        for (std::size_t c = 0; c < 3; ++c) rgb[c] = upper_byte(row, pixel * png_.channels() + c);
        return;
      case PngColour::palette: {
        const std::uint8_t* const colour = &png_.palette[3 * packed(row, pixel)];
        std::copy_n(colour, 3, rgb);
        return;
      }
      case PngColour::grey_alpha: std::fill_n(rgb, 3, upper_byte(row, pixel * 2)); return;
      case PngColour::grey: std::fill_n(rgb, 3, grey(row, pixel)); return;
    }
  }

 private:
  // Of a channel of 8 or 16 bits.
  [[nodiscard]] std::uint8_t upper_byte(const Bytes& row, std::size_t sample) const {
    return row[sample * (png_.bit_depth / 8)];
  }

  // Of 1 to 8 bits, the leftmost pixel in the highest bits.
  [[nodiscard]] std::size_t packed(const Bytes& row, std::size_t pixel) const {
    const std::size_t bit = pixel * png_.bit_depth;
    const std::size_t shift = 8 - png_.bit_depth - bit % 8;
    return (static_cast<std::size_t>(row[bit / 8]) >> shift) &
           ((std::size_t{1} << png_.bit_depth) - 1);
  }

  [[nodiscard]] std::uint8_t grey(const Bytes& row, std::size_t pixel) const {
    constexpr std::uint8_t kWhite = std::numeric_limits<std::uint8_t>::max();
    if (png_.bit_depth == 16) return row[2 * pixel] != 0 ? kWhite : row[2 * pixel + 1];
    const std::size_t most = (std::size_t{1} << png_.bit_depth) - 1;
    return static_cast<std::uint8_t>(packed(row, pixel) * kWhite / most);
  }

  const PngFile& png_;
};

void decode_pass(const PngFile& png, const Pass& pass, PixelStream& stream, const std::string& name,
                 Image& image) {
  const std::int64_t cols = pass.cols_of(png);
  const std::int64_t rows = pass.rows_of(png);
  if (rows < 1 || cols < 1) return;
  const Expander expand(png);
  const std::size_t step = std::max<std::size_t>(1, png.bits_a_pixel() / 8);
  Bytes row(bytes_a_row(png, cols));
  Bytes above(row.size());
  for (std::int64_t r = 0; r < rows; ++r) {
    std::uint8_t filter = 0;
    stream.read({&filter, 1});
    stream.read(row);
    if (!unfilter(filter, step, above, row)) {
      throw Error(Errc::scan, name + ": its pixels are damaged: row " + std::to_string(r) +
                                  " has filter " + std::to_string(filter) + ", PNG has 0 to 4");
    }
    std::uint8_t* const line = image.rgb.data() + 3 * (pass.row + r * pass.row_step) * image.cols;
    for (std::int64_t c = 0; c < cols; ++c) {
      expand(row, static_cast<std::size_t>(c), line + 3 * (pass.col + c * pass.col_step));
    }
    std::swap(row, above);
  }
}

}  // namespace

Image decode_png(std::span<const std::byte> content, const std::string& name) {
  const PngFile png = parse_png(content, name);
  require_enough_data(png, name);
  Image image{.rows = png.rows, .cols = png.cols};
  image.rgb.resize(static_cast<std::size_t>(3 * png.rows * png.cols));
  PixelStream stream(png, name);
  for (const Pass& pass : passes_of(png)) decode_pass(png, pass, stream, name, image);
  if (png.animated) {
    image.warnings.push_back({"animation", "only the first picture of the animation is taken"});
  }
  if (auto warning = orientation_warning(png.exif)) image.warnings.push_back(*warning);
  if (png.colour == PngColour::grey && png.bit_depth == 16) {
    image.warnings.push_back({"grey-16-bit",
                              "grey levels above 255 are white, as in Pillow; scale 16-bit grey to "
                              "8 bits first"});
  }
  return image;
}

}  // namespace lunart
