// The pixels of a PNG, over the zlib that is linked anyway: a library would be one more system
// package (libpng-dev) to build with, and what a classifier needs of the format is small.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "lunart/image.hpp"

namespace lunart {

// As Pillow's convert("RGB"), bit for bit: alpha and tRNS are dropped, no gamma or profile is
// applied, 16-bit channels keep their upper byte, but 16-bit grey alone is clipped at 255. Of an
// animation the first picture is taken. Throws Errc::scan beginning with `name`.
[[nodiscard]] Image decode_png(std::span<const std::byte> content, const std::string& name);

}  // namespace lunart
