// The AOTInductor engine: the network compiled to native code by luna-export, for this libtorch and
// instruction set (engines/native_code.hpp compares them first). The code assumes channels-last
// input of the sizes that it was compiled for and checks neither: contiguous input is silently
// wrong by 9e-3, and 34 rows become 32. So both are seen to here.
#include <torch/csrc/inductor/aoti_runner/model_container_runner_cpu.h>
#include <torch/version.h>

#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "engines/aotinductor_package.hpp"
#include "engines/engine.hpp"
#include "engines/torch_tensors.hpp"
#include "engines/torch_workers.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

namespace fs = std::filesystem;
using Runner = torch::inductor::AOTIModelContainerRunnerCpu;

const std::string kName = "aotinductor";

// A crop costs the same in batches of 1 to 8 and more beyond; small ones spread over the lanes.
constexpr std::size_t kBatch = 4;

struct Loaded {
  std::vector<AxisRule> input;
  std::unique_ptr<Runner> runner;
};

std::unique_ptr<Runner> open_code(const std::string& code, int lanes, const fs::path& artifact) {
  const CodeFile file(code);
  const std::string way_out = ": its code cannot be loaded; if " + file.parent().string() +
                              " must hold no programs, set TMPDIR to a folder that may; else "
                              "export it again";
  return as_engine_error(artifact.string() + way_out, [&] {
    // As many copies of the network's state as calls at once.
    return std::make_unique<Runner>(file.path().string(), static_cast<std::size_t>(lanes));
  });
}

// libtorch never unloads such code, so a process opens each once and keeps it.
std::shared_ptr<Loaded> loaded(AotinductorPackage package, int lanes, const fs::path& artifact) {
  using Key = std::pair<std::string, int>;
  static auto& kept = *new std::map<Key, std::shared_ptr<Loaded>>;
  static std::mutex one_at_a_time;
  const std::scoped_lock lock(one_at_a_time);
  Key key{std::move(package.code), lanes};
  const auto known = kept.find(key);
  if (known != kept.end() && known->second->input == package.input) return known->second;
  auto fresh = std::make_shared<Loaded>(
      Loaded{std::move(package.input), open_code(key.first, lanes, artifact)});
  kept.insert_or_assign(std::move(key), fresh);
  return fresh;
}

std::vector<Tensor> forward(Loaded& network, const TensorView& input) {
  require_fits(network.input, input.shape);
  return as_engine_error(kName + ": a network failed", [&] {
    const c10::InferenceMode no_grad;
    const at::Tensor tensor = to_torch(input);
    std::vector<Tensor> outputs;
    for (const at::Tensor& output :
         network.runner->run({tensor.contiguous(fast_layout(tensor.dim()))})) {
      outputs.push_back(to_ours(output, kName));
    }
    return outputs;
  });
}

class Aotinductor final : public Engine {
 public:
  explicit Aotinductor(const EngineSettings& settings) : settings_(settings) {}

  [[nodiscard]] EngineInfo info() const override {
    return {.name = kName, .version = TORCH_VERSION, .threads = settings_.threads};
  }

  [[nodiscard]] Network load(const fs::path& artifact) override {
    return network_in(workers_, settings_, kBatch,
                      [held = loaded(read_package(artifact), settings_.lanes(), artifact)](
                          const TensorView& input) { return forward(*held, input); });
  }

  // Frozen: batch norms are folded, and what remains has lost its names.
  [[nodiscard]] std::optional<std::map<std::string, Tensor>> weights(const fs::path&) override {
    return std::nullopt;
  }

 private:
  EngineSettings settings_;
  std::shared_ptr<TorchWorkers> workers_;  // of all its networks
};

}  // namespace
}  // namespace lunart

extern "C" __attribute__((visibility("default"))) lunart::Engine* lunart_open_aotinductor(
    const lunart::EngineSettings& settings) {
  return new lunart::Aotinductor(settings);
}
