#include "io/deflate.hpp"

#include <zlib.h>

#include <algorithm>
#include <utility>

#include "lunart/error.hpp"

namespace lunart {
namespace {

constexpr int kLevel = 2;  // ITK's default for MetaImage: a third of the time of level 6
constexpr std::size_t kInputChunk = std::size_t{1} << 20U;
constexpr std::size_t kOutputChunk = std::size_t{1} << 18U;

enum class Container { zlib, gzip };

class Deflater {
 public:
  explicit Deflater(Container container) {
    constexpr int kGzip = 16;   // added to the window's bits
    constexpr int kMemory = 8;  // zlib's default
    const int bits = MAX_WBITS + (container == Container::gzip ? kGzip : 0);
    if (deflateInit2(&stream_, kLevel, Z_DEFLATED, bits, kMemory, Z_DEFAULT_STRATEGY) != Z_OK) {
      throw Error(Errc::output, "zlib has no memory to compress");
    }
  }
  ~Deflater() { deflateEnd(&stream_); }
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;

  // At most kInputChunk bytes; `flush` is Z_NO_FLUSH, or Z_FINISH with the last.
  void add(std::span<const std::byte> bytes, int flush) {
    // zlib does not write to its input, but its older headers lack the const.
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));
    stream_.avail_in = static_cast<uInt>(bytes.size());
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(chunk_.data());
      stream_.avail_out = static_cast<uInt>(chunk_.size());
      deflate(&stream_, flush);
      out_.insert(out_.end(), chunk_.begin(),
                  chunk_.end() - static_cast<std::ptrdiff_t>(stream_.avail_out));
    } while (stream_.avail_out == 0);
  }
  [[nodiscard]] std::vector<std::byte> take() { return std::move(out_); }

 private:
  z_stream stream_{};
  std::vector<std::byte> out_;
  std::vector<std::byte> chunk_ = std::vector<std::byte>(kOutputChunk);
};

std::vector<std::byte> compressed(Container container,
                                  std::span<const std::span<const std::byte>> parts,
                                  const Tick& tick) {
  Deflater z(container);
  for (std::span<const std::byte> bytes : parts) {
    while (!bytes.empty()) {
      if (tick) tick();
      const std::size_t n = std::min(bytes.size(), kInputChunk);
      z.add(bytes.first(n), Z_NO_FLUSH);
      bytes = bytes.subspan(n);
    }
  }
  z.add({}, Z_FINISH);
  return z.take();
}

}  // namespace

std::vector<std::byte> deflated(std::span<const std::byte> bytes, const Tick& tick) {
  return compressed(Container::zlib, {&bytes, 1}, tick);
}

std::vector<std::byte> gzipped(std::span<const std::span<const std::byte>> parts,
                               const Tick& tick) {
  return compressed(Container::gzip, parts, tick);
}

}  // namespace lunart
