#include "io/deflate.hpp"

#include <zlib.h>

#include <algorithm>

#include "lunart/error.hpp"

namespace lunart {
namespace {

constexpr int kLevel = 2;  // ITK's default for MetaImage: a third of the time of level 6
constexpr std::size_t kInputChunk = std::size_t{1} << 20U;
constexpr std::size_t kOutputChunk = std::size_t{1} << 18U;

class Deflater {
 public:
  Deflater() {
    if (deflateInit(&stream_, kLevel) != Z_OK) {
      throw Error(Errc::output, "zlib has no memory to compress");
    }
  }
  ~Deflater() { deflateEnd(&stream_); }
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;
  z_stream* operator->() noexcept { return &stream_; }
  z_stream* get() noexcept { return &stream_; }

 private:
  z_stream stream_{};
};

}  // namespace

std::vector<std::byte> deflated(std::span<const std::byte> bytes, const Tick& tick) {
  Deflater z;
  std::vector<std::byte> out;
  std::vector<std::byte> chunk(kOutputChunk);
  int status = Z_OK;
  while (status != Z_STREAM_END) {
    if (tick) tick();
    const std::size_t n = std::min(bytes.size(), kInputChunk);
    // zlib does not write to its input, but its older headers lack the const.
    z->next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));
    z->avail_in = static_cast<uInt>(n);
    bytes = bytes.subspan(n);
    do {
      z->next_out = reinterpret_cast<Bytef*>(chunk.data());
      z->avail_out = static_cast<uInt>(chunk.size());
      status = deflate(z.get(), bytes.empty() ? Z_FINISH : Z_NO_FLUSH);
      out.insert(out.end(), chunk.begin(), chunk.end() - static_cast<std::ptrdiff_t>(z->avail_out));
    } while (z->avail_out == 0);
  }
  return out;
}

}  // namespace lunart
