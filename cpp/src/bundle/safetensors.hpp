// Reads float32 tensors from a .safetensors file: an 8-byte little-endian length, a JSON header,
// the data (https://github.com/huggingface/safetensors). Used for golden vectors and weights.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "lunart/network.hpp"

namespace lunart {

// The file's F32 tensors by name; others are passed over. Throws Errc::bundle, naming the file and
// what is wrong: a header that does not parse, offsets outside the file, a shape that does not fit.
[[nodiscard]] std::map<std::string, Tensor> read_safetensors(const std::filesystem::path& path);

}  // namespace lunart
