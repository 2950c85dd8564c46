#include "engines/registry.hpp"

#include <algorithm>
#include <cstdlib>
#include <set>

#include "engines/native_code.hpp"
#ifdef LUNART_WITH_ONNXRUNTIME
#include "engines/onnxruntime.hpp"
#endif
#ifdef LUNART_WITH_OPENVINO
#include "engines/openvino.hpp"
#endif
#ifdef LUNART_WITH_TORCH
#include "engines/torch_engines.hpp"
#endif
#include "lunart/error.hpp"

namespace lunart {
namespace {

#ifndef LUNART_WITH_OPENVINO
std::unique_ptr<Engine> open_openvino(const EngineSettings&) {
  throw Error(Errc::engine,
              "openvino: is not part of this build; build lunart where the pip package openvino is "
              "installed, with -DLUNART_ENGINES naming openvino");
}
#endif
#ifndef LUNART_WITH_ONNXRUNTIME
std::unique_ptr<Engine> open_onnxruntime(const EngineSettings&) {
  throw Error(Errc::engine,
              "onnxruntime: is not part of this build; build lunart where ONNX Runtime's headers "
              "are (sh cpp/cmake/onnxruntime_headers.sh gets them), with -DLUNART_ENGINES naming "
              "onnxruntime, or in Python use lunart.Runner(bundle, engine=\"onnxruntime\")");
}
#endif
#ifndef LUNART_WITH_TORCH
std::unique_ptr<Engine> torch_is_not_built(const std::string& engine) {
  throw Error(Errc::engine, engine +
                                ": is not part of this build; build lunart where the pip package "
                                "torch is installed, with -DLUNART_ENGINES naming torch");
}
std::unique_ptr<Engine> open_torchscript(const EngineSettings&) {
  return torch_is_not_built("torchscript");
}
std::unique_ptr<Engine> open_torchscript_exact(const EngineSettings&) {
  return torch_is_not_built("torchscript");
}
std::unique_ptr<Engine> open_aotinductor(const EngineSettings&) {
  return torch_is_not_built("aotinductor");
}
#endif

#ifdef LUNART_WITH_OPENVINO
constexpr bool kOpenvino = true;
#else
constexpr bool kOpenvino = false;
#endif
#ifdef LUNART_WITH_ONNXRUNTIME
constexpr bool kOnnxruntime = true;
#else
constexpr bool kOnnxruntime = false;
#endif
#ifdef LUNART_WITH_TORCH
constexpr bool kTorch = true;
#else
constexpr bool kTorch = false;
#endif

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : ", ") + word;
  return out;
}

const EngineEntry& entry_of(const std::string& name) {
  return *std::ranges::find(engine_list(), name, &EngineEntry::name);
}

const ArtifactEntry& require_artifact(const EngineEntry& entry, const Bundle& bundle,
                                      const std::string& model) {
  const ModelEntry& held = bundle.manifest.models.at(model);
  if (const ArtifactEntry* found = find_artifact(entry, held)) return *found;
  std::vector<std::string> names;
  for (const ArtifactEntry& artifact : held.artifacts) names.push_back(artifact.name);
  throw Error(Errc::engine, entry.name + ": model " + model + " of " + bundle.folder.string() +
                                " has no artifact " + joined(entry.artifacts) + "; it has " +
                                (names.empty() ? "none" : joined(names)) +
                                "; export it with luna-export --format");
}

// Engines that were tried, so that each is opened once.
class Opened {
 public:
  explicit Opened(const EngineSettings& settings) : settings_(settings) {}

  // Null when it cannot be opened; `why` then has the reason.
  Engine* open(const EngineEntry& entry, std::string& why) {
    const auto known = tried_.find(entry.name);
    if (known != tried_.end()) return known->second.get();
    try {
      return (tried_[entry.name] = open_engine(entry, settings_)).get();
    } catch (const Error& error) {
      if (error.code() != Errc::engine) throw;
      why += std::string("\n  ") + error.what();
      tried_[entry.name] = nullptr;
      return nullptr;
    }
  }

  std::vector<std::unique_ptr<Engine>> take() {
    std::vector<std::unique_ptr<Engine>> engines;
    for (auto& [name, engine] : tried_) {
      if (engine) engines.push_back(std::move(engine));
    }
    return engines;
  }

 private:
  EngineSettings settings_;
  std::map<std::string, std::unique_ptr<Engine>> tried_;
};

// The first engine of the list that opens and loads the model.
Network load_automatically(const Bundle& bundle, const std::string& model, Opened& opened,
                           EngineInfo& info, std::vector<Warning>& warnings) {
  std::string why;
  for (const EngineEntry& entry : engine_list()) {
    const ArtifactEntry* artifact = find_artifact(entry, bundle.manifest.models.at(model));
    if (artifact == nullptr) {
      why += "\n  " + entry.name + ": the bundle has no " + joined(entry.artifacts);
      continue;
    }
    Engine* const engine = opened.open(entry, why);
    if (engine == nullptr) continue;
    try {
      Network network = load_artifact(*engine, bundle, *artifact);
      info = engine->info();
      return network;
    } catch (const Error& error) {
      if (error.code() != Errc::engine) throw;
      why += std::string("\n  ") + error.what();
      warnings.push_back({"engine-fallback", error.what()});
    }
  }
  throw Error(Errc::engine,
              "no engine can run model " + model + " of " + bundle.folder.string() + ":" + why);
}

// One line for all networks; the pipeline's first when they differ.
EngineInfo joined_info(const std::map<std::string, EngineInfo>& of_model) {
  const auto segmentation = of_model.find("segmentation");
  EngineInfo info = (segmentation == of_model.end() ? of_model.begin() : segmentation)->second;
  std::set<std::string> named{info.name};
  for (const auto& [model, other] : of_model) {
    if (!named.insert(other.name).second) continue;
    info.name += ", " + other.name + " (" + model + ")";
    info.version += ", " + other.version;
  }
  return info;
}

}  // namespace

const std::vector<EngineEntry>& engine_list() {
  using enum Precision;
  static const std::vector<EngineEntry> list{
      {"openvino", {"onnx"}, {f32, bf16}, kOpenvino, open_openvino},
      {"aotinductor", {"aotinductor"}, {f32}, kTorch, open_aotinductor},
      {"onnxruntime", {"onnx"}, {f32}, kOnnxruntime, open_onnxruntime},
      {"torchscript", {"torchscript-trace", "torchscript-script"}, {f32}, kTorch, open_torchscript},
      {"torchscript-trace", {"torchscript-trace"}, {f32}, kTorch, open_torchscript_exact},
      {"torchscript-script", {"torchscript-script"}, {f32}, kTorch, open_torchscript_exact},
  };
  return list;
}

std::string wanted_engine(const std::string& name) {
  const char* forced = std::getenv("LUNART_ENGINE");
  return name == "auto" && forced != nullptr && *forced != '\0' ? forced : name;
}

void require_known_engine(const std::string& name) {
  std::vector<std::string> known{"auto"};
  for (const EngineEntry& entry : engine_list()) known.push_back(entry.name);
  if (std::ranges::find(known, name) == known.end()) {
    throw Error(Errc::usage,
                "no engine is called \"" + name + "\"; this build knows " + joined(known));
  }
}

std::unique_ptr<Engine> open_engine(const EngineEntry& entry, const EngineSettings& settings) {
  if (std::ranges::find(entry.precisions, settings.precision) == entry.precisions.end()) {
    throw Error(Errc::engine, entry.name + ": does not compute in " +
                                  std::string(to_string(settings.precision)) +
                                  "; use --precision f32, or --engine openvino");
  }
  return entry.open(settings);
}

const ArtifactEntry* find_artifact(const EngineEntry& entry, const ModelEntry& model) {
  for (const std::string& name : entry.artifacts) {
    const auto found = std::ranges::find(model.artifacts, name, &ArtifactEntry::name);
    if (found != model.artifacts.end()) return &*found;
  }
  return nullptr;
}

LoadedNetworks load_networks(const std::string& name, const Bundle& bundle,
                             const EngineSettings& settings) {
  LoadedNetworks loaded;
  const std::string wanted = wanted_engine(name);
  require_known_engine(wanted);
  if (wanted == "auto") {
    Opened opened(settings);
    std::map<std::string, EngineInfo> infos;
    for (const auto& [model, entry] : bundle.manifest.models) {
      loaded.networks[model] =
          load_automatically(bundle, model, opened, infos[model], loaded.warnings);
    }
    loaded.engines = opened.take();
    loaded.info = joined_info(infos);
  } else {
    const EngineEntry& entry = entry_of(wanted);
    loaded.engines.push_back(open_engine(entry, settings));
    for (const auto& [model, held] : bundle.manifest.models) {
      const ArtifactEntry& artifact = require_artifact(entry, bundle, model);
      loaded.networks[model] = load_artifact(*loaded.engines.front(), bundle, artifact);
    }
    loaded.info = loaded.engines.front()->info();
    loaded.info.name = wanted;
  }
  for (const auto& engine : loaded.engines) {
    std::ranges::move(engine->warnings(), std::back_inserter(loaded.warnings));
  }
  return loaded;
}

LoadedNetwork load_network(const std::string& engine, const Bundle& bundle,
                           const std::string& model, const EngineSettings& settings) {
  require_known_engine(engine);
  if (!bundle.manifest.models.contains(model)) {
    throw Error(Errc::bundle, bundle.folder.string() + ": has no model \"" + model + "\"");
  }
  const EngineEntry& entry = entry_of(engine);
  const ArtifactEntry& artifact = require_artifact(entry, bundle, model);
  LoadedNetwork loaded{open_engine(entry, settings), {}};
  loaded.network = load_artifact(*loaded.engine, bundle, artifact);
  return loaded;
}

EngineStatus status_of(const EngineEntry& entry) {
  EngineStatus status{.name = entry.name, .artifacts = entry.artifacts, .built = entry.built};
  for (const Precision precision : entry.precisions) {
    try {
      status.version = open_engine(entry, {.precision = precision})->info().version;
      status.precisions.push_back(precision);
      status.supported = true;
    } catch (const Error& error) {
      if (error.code() != Errc::engine) throw;
      if (!status.supported) status.why_not = error.what();
    }
  }
  return status;
}

std::vector<EngineStatus> engines() {
  std::vector<EngineStatus> all;
  for (const EngineEntry& entry : engine_list()) all.push_back(status_of(entry));
  return all;
}

}  // namespace lunart
