// The networks that a Runner or Classifier runs: an engine's, or a caller's own functions.
#pragma once

#include <optional>
#include <string>

#include "bundle/bundle.hpp"
#include "engines/registry.hpp"
#include "lunart/runner.hpp"

namespace lunart {

struct NetworkOptions {
  std::string engine{"auto"};
  Precision precision{Precision::f32};
  int threads{1};
};

// Throws as load_networks does; Errc::usage when the caller's functions do not suit the bundle.
[[nodiscard]] LoadedNetworks networks_of(const Bundle& bundle, const NetworkOptions& options,
                                         const std::optional<CallableEngine>& callable);

}  // namespace lunart
