// The OpenVINO engine, as the list in registry.cpp opens it: liblunart_openvino.so.
#pragma once

#include <memory>

#include "engines/engine.hpp"

namespace lunart {

[[nodiscard]] std::unique_ptr<Engine> open_openvino(const EngineSettings& settings);

}  // namespace lunart
