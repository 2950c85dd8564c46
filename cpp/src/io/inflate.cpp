#include "io/inflate.hpp"

#include <zlib.h>

#include <algorithm>
#include <string>
#include <vector>

#include "lunart/error.hpp"

namespace lunart {
namespace {

constexpr std::size_t kInputChunk = std::size_t{1} << 18U;
constexpr std::size_t kOutputChunk = std::size_t{1} << 20U;
constexpr int kZlibOrGzip = 32 + MAX_WBITS;  // zlib.h: add 32 to detect the header

// zlib's state, which must be released whatever happens.
class Inflater {
 public:
  Inflater() {
    if (inflateInit2(&stream_, kZlibOrGzip) != Z_OK) {
      throw Error(Errc::scan, "zlib has no memory to decompress");
    }
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  z_stream* operator->() noexcept { return &stream_; }
  z_stream* get() noexcept { return &stream_; }

 private:
  z_stream stream_{};
};

std::string range_name(const InputFile& file, const CompressedRange& range) {
  return file.name() + ": its compressed data (" + std::to_string(range.bytes) +
         " bytes from byte " + std::to_string(range.offset) + ")";
}

}  // namespace

bool could_inflate(std::uint64_t bytes, std::uint64_t expected) noexcept {
  constexpr std::uint64_t kBestRatio = 1032;
  return expected / kBestRatio <= bytes;
}

void inflate_range(const InputFile& file, const CompressedRange& range,
                   const std::function<void(std::span<const std::byte>)>& sink) {
  Inflater z;
  std::vector<std::byte> input(kInputChunk);
  std::vector<std::byte> output(kOutputChunk);
  std::uint64_t consumed = 0;  // bytes taken from the file
  std::uint64_t produced = 0;
  std::size_t filled = 0;  // bytes in `output` that were not handed on
  int status = Z_OK;
  while (status != Z_STREAM_END) {
    if (z->avail_in == 0 && consumed < range.bytes) {
      const auto n =
          static_cast<std::size_t>(std::min<std::uint64_t>(kInputChunk, range.bytes - consumed));
      file.read(range.offset + consumed, std::span(input).first(n));
      z->next_in = reinterpret_cast<Bytef*>(input.data());
      z->avail_in = static_cast<uInt>(n);
      consumed += n;
    }
    // One byte more than is due: a stream that fills it holds too much.
    const std::size_t room = static_cast<std::size_t>(
        std::min<std::uint64_t>(kOutputChunk - filled, range.expected - produced + 1));
    z->next_out = reinterpret_cast<Bytef*>(output.data() + filled);
    z->avail_out = static_cast<uInt>(room);
    status = inflate(z.get(), Z_NO_FLUSH);
    const std::size_t got = room - z->avail_out;
    filled += got;
    produced += got;
    if (produced > range.expected) {
      throw Error(Errc::scan, range_name(file, range) + " inflate to more than the " +
                                  std::to_string(range.expected) +
                                  " bytes that DimSize and ElementType promise");
    }
    if (status == Z_BUF_ERROR || (status == Z_OK && got == 0 && z->avail_in == 0)) {
      if (consumed < range.bytes) continue;
      throw Error(Errc::scan, range_name(file, range) + " are truncated: they inflate to " +
                                  std::to_string(produced) + " of " +
                                  std::to_string(range.expected) + " bytes");
    }
    if (status != Z_OK && status != Z_STREAM_END) {
      throw Error(Errc::scan, range_name(file, range) + " are damaged after " +
                                  std::to_string(produced) + " of " +
                                  std::to_string(range.expected) + " inflated bytes: " +
                                  (z->msg != nullptr ? z->msg : "not a zlib or gzip stream"));
    }
    if (filled == kOutputChunk || (status == Z_STREAM_END && filled > 0)) {
      sink(std::span<const std::byte>(output).first(filled));
      filled = 0;
    }
  }
  if (produced < range.expected) {
    throw Error(Errc::scan, range_name(file, range) + " inflate to " + std::to_string(produced) +
                                " bytes, but DimSize and ElementType promise " +
                                std::to_string(range.expected));
  }
  const std::uint64_t surplus = range.bytes - consumed + z->avail_in;
  if (surplus > 0) {
    throw Error(Errc::scan, range_name(file, range) + " are followed by " +
                                std::to_string(surplus) + " bytes that belong to no voxel");
  }
}

}  // namespace lunart
