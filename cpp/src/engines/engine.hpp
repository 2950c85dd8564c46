// What an engine is: something that turns one artifact of a bundle into a NetworkFunction. One
// engine = one file. Header-only where it crosses the boundary of liblunart_torch.so.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lunart/network.hpp"
#include "lunart/result.hpp"

namespace lunart {

class __attribute__((visibility("default"))) Engine {
 public:
  Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  virtual ~Engine() = default;

  [[nodiscard]] virtual EngineInfo info() const = 0;
  // The returned function keeps what it needs alive, but for the engine itself. Throws
  // Errc::engine.
  [[nodiscard]] virtual NetworkFunction load(const std::filesystem::path& artifact) = 0;
  // The artifact's float weights under the names of weights.safetensors; none where a format keeps
  // no names.
  [[nodiscard]] virtual std::optional<std::map<std::string, Tensor>> weights(
      const std::filesystem::path& artifact) = 0;
};

// What the list in registry.cpp knows of an engine before it is opened.
struct EngineEntry {
  std::string name;
  std::vector<std::string> artifacts;  // that it can load, the preferred first
  // Opens it with that many threads for artifacts made by that torch version; throws Errc::engine
  // with the way out when it is not built or not installed.
  std::unique_ptr<Engine> (*open)(int threads, const std::string& made_by_torch);
};

}  // namespace lunart
