// Opens liblunart_torch.so, the only thing of ours that links libtorch, after comparing versions: a
// mismatch met by the dynamic loader would end the program before it could say why.
#pragma once

#include <memory>
#include <string>

#include "engines/engine.hpp"

namespace lunart {

// `factory` is the name of an extern "C" function Engine* (int threads) of the module. Throws
// Errc::engine saying which library is missing or of which version, and the way out.
[[nodiscard]] std::unique_ptr<Engine> open_torch_module(const char* factory, int threads,
                                                        const std::string& made_by_torch);

}  // namespace lunart
