// Loading artifacts of a bundle; what native code was made for is compared with this machine before
// any of it runs.
#pragma once

#include "bundle/bundle.hpp"
#include "engines/engine.hpp"

namespace lunart {

// Loads an artifact. Throws Errc::engine as Engine::load does, and for native code that was
// compiled for another libtorch or for instructions that this processor has not.
[[nodiscard]] Network load_artifact(Engine& engine, const Bundle& bundle,
                                    const ArtifactEntry& artifact);

}  // namespace lunart
