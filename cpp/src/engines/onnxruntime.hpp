// The ONNX Runtime engine, as the list in registry.cpp opens it.
#pragma once

#include <memory>

#include "engines/engine.hpp"

namespace lunart {

[[nodiscard]] std::unique_ptr<Engine> open_onnxruntime(const EngineSettings& settings);

}  // namespace lunart
