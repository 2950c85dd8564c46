// What an engine is: something that turns one artifact of a bundle into a Network. One engine = one
// file. Header-only where it crosses the boundary of an engine's module (liblunart_torch.so,
// liblunart_openvino.so).
#pragma once

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lunart/network.hpp"
#include "lunart/result.hpp"
#include "lunart/runner.hpp"

namespace lunart {

// One network, loaded. `run` may be called from `lanes` threads at once, and is fastest so: whole
// inputs side by side need no barrier at every layer. How many threads each call uses is the
// engine's matter; together they are EngineSettings::threads.
struct Network {
  NetworkFunction run;
  int lanes{1};
  std::size_t batch{8};  // crops a call that suit a 3-D network best
};

struct EngineSettings {
  int threads{1};
  Precision precision{Precision::f32};
  std::string made_by_torch{};  // the version that exported the bundle

  // Two are enough to hide what runs between layers; more would need more memory.
  [[nodiscard]] int lanes() const { return std::clamp(threads, 1, 2); }
  [[nodiscard]] int threads_a_lane() const { return std::max(1, threads / lanes()); }
};

class __attribute__((visibility("default"))) Engine {
 public:
  Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  virtual ~Engine() = default;

  [[nodiscard]] virtual EngineInfo info() const = 0;
  // What it could not do as asked, and did in a safe way instead.
  [[nodiscard]] virtual std::vector<Warning> warnings() const { return {}; }
  // The returned network keeps what it needs alive, but for the engine itself. Throws Errc::engine.
  [[nodiscard]] virtual Network load(const std::filesystem::path& artifact) = 0;
  // The artifact's float weights under the names of weights.safetensors; none where a format keeps
  // no names.
  [[nodiscard]] virtual std::optional<std::map<std::string, Tensor>> weights(
      const std::filesystem::path& artifact) = 0;
};

// What the list in registry.cpp knows of an engine before it is opened.
struct EngineEntry {
  std::string name;
  std::vector<std::string> artifacts;  // that it can load, the preferred first
  std::vector<Precision> precisions;   // that it can compute in, where the processor can
  bool built{};                        // false: `open` throws, and says how to get it
  // Throws Errc::engine, with the way out, when it is not built, its library is missing or of
  // another version, or this processor cannot do the precision.
  std::unique_ptr<Engine> (*open)(const EngineSettings&);
};

}  // namespace lunart
