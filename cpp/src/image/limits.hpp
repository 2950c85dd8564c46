// How large a picture may be. A file of some kilobytes can declare billions of pixels, so the
// declared size is judged before any memory is taken.
#pragma once

#include <cstdint>
#include <string>

#include "lunart/error.hpp"

namespace lunart {

constexpr std::int64_t kMostSide = std::int64_t{1} << 17U;
constexpr std::int64_t kMostPixels = std::int64_t{1} << 26U;  // 192 MiB of 8-bit RGB

inline void require_reasonable(std::int64_t rows, std::int64_t cols, const std::string& name) {
  const std::string size = std::to_string(rows) + "x" + std::to_string(cols);
  if (rows < 1 || cols < 1) throw Error(Errc::scan, name + ": is a picture of " + size + " pixels");
  if (rows > kMostSide || cols > kMostSide || rows * cols > kMostPixels) {
    throw Error(Errc::scan, name + ": declares " + size + " pixels; lunart reads up to " +
                                std::to_string(kMostPixels) + ", sides up to " +
                                std::to_string(kMostSide) + ": make it smaller");
  }
}

}  // namespace lunart
