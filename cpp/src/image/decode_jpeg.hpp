// The pixels of a JPEG, by the system's libjpeg. It is opened when a JPEG is met, so that nothing
// needs it but who has JPEGs; its header must be there when lunart is built.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "lunart/image.hpp"

namespace lunart {

[[nodiscard]] bool is_jpeg(std::span<const std::byte> content);

// With libjpeg's own settings (accurate DCT, smooth chroma), as Pillow; EXIF's orientation is not
// applied. Throws Errc::scan beginning with `name`: damaged, too large, CMYK, or no libjpeg here,
// with the way out.
[[nodiscard]] Image decode_jpeg(std::span<const std::byte> content, const std::string& name);
[[nodiscard]] ImageHeader read_jpeg_header(std::span<const std::byte> content,
                                           const std::string& name);

}  // namespace lunart
