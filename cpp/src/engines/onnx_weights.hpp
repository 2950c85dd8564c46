// The weights that an .onnx file holds, read without protobuf: of its messages only four fields
// matter here.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "lunart/network.hpp"

namespace lunart {

// The float32 initializers by name. The exporter keeps every weight under its state_dict name; a
// few numbers without one are constants of the graph and left out. Throws Errc::engine naming the
// file when it is no ONNX model or keeps its weights elsewhere.
[[nodiscard]] std::map<std::string, Tensor> read_onnx_weights(const std::filesystem::path& path);

}  // namespace lunart
