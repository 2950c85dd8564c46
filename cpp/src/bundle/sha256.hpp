// SHA-256 (FIPS 180-4) of a file, in lower-case hexadecimal.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "bundle/sha256_block.hpp"

namespace lunart {

[[nodiscard]] std::string sha256(std::span<const std::byte> data,
                                 Sha256Blocks blocks = sha256_blocks());
// Throws Errc::bundle, naming the file, when it cannot be read.
[[nodiscard]] std::string sha256_of_file(const std::filesystem::path& path);

}  // namespace lunart
