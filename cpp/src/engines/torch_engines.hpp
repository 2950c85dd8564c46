// The engines of liblunart_torch.so, as the list in registry.cpp opens them.
#pragma once

#include <memory>

#include "engines/engine.hpp"

namespace lunart {

// Tuned for speed: channels last and frozen.
[[nodiscard]] std::unique_ptr<Engine> open_torchscript(const EngineSettings& settings);
// As exported, bit-equal to eager PyTorch.
[[nodiscard]] std::unique_ptr<Engine> open_torchscript_exact(const EngineSettings& settings);
// Native code of AOTInductor.
[[nodiscard]] std::unique_ptr<Engine> open_aotinductor(const EngineSettings& settings);

}  // namespace lunart
