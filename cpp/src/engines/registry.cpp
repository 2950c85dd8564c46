#include "engines/registry.hpp"

#include <algorithm>
#include <cstdlib>

#include "engines/torch_module.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

std::unique_ptr<Engine> open_torchscript(int threads, const std::string& made_by_torch) {
  return open_torch_module("lunart_open_torchscript", threads, made_by_torch);
}

std::unique_ptr<Engine> onnxruntime_is_not_built(int, const std::string&) {
  throw Error(Errc::engine,
              "onnxruntime: this build of luna_infer has no native ONNX Runtime; use --engine "
              "torchscript here, or in Python lunart.Runner(bundle, engine=\"onnxruntime\")");
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : ", ") + word;
  return out;
}

bool has_any(const Bundle& bundle, const std::vector<std::string>& artifacts) {
  const auto& held = bundle.manifest.models.at("segmentation").artifacts;
  return std::ranges::any_of(held, [&](const ArtifactEntry& artifact) {
    return std::ranges::find(artifacts, artifact.name) != artifacts.end();
  });
}

Choice choose_automatically(const Bundle& bundle, int threads) {
  std::string why;
  for (const EngineEntry& entry : engine_list()) {
    if (!has_any(bundle, entry.artifacts)) {
      why += "\n  " + entry.name + ": the bundle has no " + joined(entry.artifacts);
      continue;
    }
    try {
      return {entry.open(threads, bundle.manifest.torch_version), entry.artifacts};
    } catch (const Error& error) {
      if (error.code() != Errc::engine) throw;
      why += std::string("\n  ") + error.what();
    }
  }
  throw Error(Errc::engine, "no engine can run " + bundle.folder.string() + ":" + why);
}

}  // namespace

const std::vector<EngineEntry>& engine_list() {
  static const std::vector<EngineEntry> list{
      {"torchscript", {"torchscript-trace", "torchscript-script"}, open_torchscript},
      {"onnxruntime", {"onnx"}, onnxruntime_is_not_built},
  };
  return list;
}

void require_known_engine(const std::string& name) {
  std::vector<std::string> known{"auto"};
  for (const EngineEntry& entry : engine_list()) {
    known.push_back(entry.name);
    known.insert(known.end(), entry.artifacts.begin(), entry.artifacts.end());
  }
  if (std::ranges::find(known, name) == known.end()) {
    throw Error(Errc::usage,
                "no engine is called \"" + name + "\"; this build knows " + joined(known));
  }
}

Choice choose_engine(const std::string& name, const Bundle& bundle, int threads) {
  const char* forced = std::getenv("LUNART_ENGINE");
  const std::string wanted = name == "auto" && forced != nullptr && *forced != '\0' ? forced : name;
  require_known_engine(wanted);
  for (const EngineEntry& entry : engine_list()) {
    const bool is_artifact = std::ranges::find(entry.artifacts, wanted) != entry.artifacts.end();
    if (entry.name != wanted && !is_artifact) continue;
    return {entry.open(threads, bundle.manifest.torch_version),
            is_artifact ? std::vector{wanted} : entry.artifacts};
  }
  return choose_automatically(bundle, threads);
}

const ArtifactEntry& choose_artifact(const Bundle& bundle, const std::string& model,
                                     const std::vector<std::string>& artifacts) {
  const auto& held = bundle.manifest.models.at(model).artifacts;
  for (const std::string& name : artifacts) {
    const auto found = std::ranges::find(held, name, &ArtifactEntry::name);
    if (found != held.end()) return *found;
  }
  std::vector<std::string> names;
  for (const ArtifactEntry& artifact : held) names.push_back(artifact.name);
  throw Error(Errc::engine, bundle.folder.string() + ": model " + model + " has no artifact " +
                                joined(artifacts) + "; it has " +
                                (names.empty() ? "none" : joined(names)) +
                                "; export it with luna-export --format");
}

}  // namespace lunart
