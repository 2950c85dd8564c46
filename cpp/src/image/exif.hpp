// Which way up a camera held a picture: the one thing in EXIF (2.32, over TIFF 6.0) that changes
// what a picture shows.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "lunart/result.hpp"

namespace lunart {

// Of EXIF's own bytes, a TIFF header and what follows; nothing when the picture is upright, or when
// they say nothing that makes sense. Pixels are as stored: nobody turns them.
[[nodiscard]] std::optional<Warning> orientation_warning(std::span<const std::byte> tiff);

}  // namespace lunart
