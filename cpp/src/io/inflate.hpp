// Decompression of a zlib or gzip stream that lies in a file, with both sizes known beforehand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "io/input_file.hpp"

namespace lunart {

struct CompressedRange {
  std::uint64_t offset{};    // where the stream begins in the file
  std::uint64_t bytes{};     // how much of the file it is
  std::uint64_t expected{};  // how much must come out of it
};

// Hands the decompressed bytes to `sink`, a mebibyte at a time. Never inflates more than `expected`
// (and one byte, which proves a surplus). Throws Errc::scan: a damaged stream, another size than
// expected, bytes after the stream's end.
void inflate_range(const InputFile& file, const CompressedRange& range,
                   const std::function<void(std::span<const std::byte>)>& sink);

// Whether a stream of `bytes` could inflate to `expected` at all: deflate packs at most 1032 times.
[[nodiscard]] bool could_inflate(std::uint64_t bytes, std::uint64_t expected) noexcept;

}  // namespace lunart
