// The engines of this build in order of preference, and the choice among them.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bundle/bundle.hpp"
#include "engines/engine.hpp"

namespace lunart {

// The order that `auto` takes; docs/performance.md has the table behind it.
[[nodiscard]] const std::vector<EngineEntry>& engine_list();

// The rule of the environment variable LUNART_ENGINE: it replaces auto, and nothing else. It may
// name an engine that only Python has.
[[nodiscard]] std::string wanted_engine(const std::string& name);

// Throws Errc::usage for a name that is neither auto nor an engine.
void require_known_engine(const std::string& name);

// Opens it. Throws Errc::engine as EngineEntry::open does, and for a precision that it has not.
[[nodiscard]] std::unique_ptr<Engine> open_engine(const EngineEntry& entry,
                                                  const EngineSettings& settings);

// Opens it to find out.
[[nodiscard]] EngineStatus status_of(const EngineEntry& entry);

// What the entry can load of a model, the preferred first; null when there is nothing.
[[nodiscard]] const ArtifactEntry* find_artifact(const EngineEntry& entry, const ModelEntry& model);

// The networks of a bundle, each in the engine that runs it. The engines outlive the networks.
struct LoadedNetworks {
  std::vector<std::unique_ptr<Engine>> engines;
  std::map<std::string, Network> networks;  // by model
  EngineInfo info;
  std::vector<Warning> warnings;
};

// `name` is an engine, or auto: for each model the first engine that this build, the bundle and
// this machine support. LUNART_ENGINE replaces auto. Throws Errc::usage for a name that nothing
// has, Errc::engine when something cannot run here, naming every engine's reason.
[[nodiscard]] LoadedNetworks load_networks(const std::string& name, const Bundle& bundle,
                                           const EngineSettings& settings);

// One model of a bundle in one engine, for verification.
struct LoadedNetwork {
  std::unique_ptr<Engine> engine;  // outlives the network
  Network network;
};
[[nodiscard]] LoadedNetwork load_network(const std::string& engine, const Bundle& bundle,
                                         const std::string& model, const EngineSettings& settings);

}  // namespace lunart
