// The engines of this build in order of preference, and the choice among them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bundle/bundle.hpp"
#include "engines/engine.hpp"

namespace lunart {

[[nodiscard]] const std::vector<EngineEntry>& engine_list();

// Throws Errc::usage for a name that is neither auto, nor an engine, nor an artifact.
void require_known_engine(const std::string& name);

struct Choice {
  std::unique_ptr<Engine> engine;
  std::vector<std::string> artifacts;  // to try for each model, the preferred first
};

// `name` is auto, an engine, or an artifact. LUNART_ENGINE replaces auto. Throws Errc::usage for a
// name that nothing has, Errc::engine for one that this build or machine cannot run.
[[nodiscard]] Choice choose_engine(const std::string& name, const Bundle& bundle, int threads);

// The first of `artifacts` that the model has. Throws Errc::engine naming what the bundle holds.
[[nodiscard]] const ArtifactEntry& choose_artifact(const Bundle& bundle, const std::string& model,
                                                   const std::vector<std::string>& artifacts);

}  // namespace lunart
