// The TorchScript engines: torch::jit::load and a plain interpreter. The profiling executor is
// switched off around each call, because it recompiles for every new shape (the second call that
// takes minutes) and is no faster for convolutions.
//
// Exact: the module as exported, bit-equal to eager PyTorch with as many threads. Tuned: channels
// last and frozen, which costs the last bits. It is tuned here and not in the file, so that the
// file keeps its weights under their names.
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/script.h>
#include <torch/version.h>

#include <memory>

#include "engines/engine.hpp"
#include "engines/torch_tensors.hpp"
#include "engines/torch_workers.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

namespace fs = std::filesystem;

const std::string kName = "torchscript";

enum class Tuning { exact, fast };

// Measured on two cores: a crop costs 2.5 times as much alone, as of two, and no less beyond four.
constexpr std::size_t kBatch = 4;

torch::jit::Module read(const fs::path& artifact) {
  return as_engine_error(artifact.string() + ": libtorch cannot load it", [&] {
    torch::jit::Module module = torch::jit::load(artifact.string(), at::kCPU);
    module.eval();
    return module;
  });
}

torch::jit::Module tuned(torch::jit::Module module, const fs::path& artifact) {
  return as_engine_error(artifact.string() + ": libtorch cannot tune it", [&] {
    for (at::Tensor weight : module.parameters()) {
      weight.set_data(weight.contiguous(fast_layout(weight.dim())));
    }
    return torch::jit::freeze(module);
  });
}

std::vector<Tensor> outputs_of(const c10::IValue& value) {
  std::vector<Tensor> outputs;
  if (value.isTensor()) {
    outputs.push_back(to_ours(value.toTensor(), kName));
  } else if (value.isTuple()) {
    for (const c10::IValue& part : value.toTupleRef().elements()) {
      outputs.push_back(to_ours(part.toTensor(), kName));
    }
  } else {
    throw Error(Errc::engine,
                kName + ": a network returned a " + value.tagKind() + " and not tensors");
  }
  return outputs;
}

std::vector<Tensor> forward(torch::jit::Module& module, Tuning tuning, const TensorView& input) {
  return as_engine_error(kName + ": a network failed", [&] {
    const c10::InferenceMode no_grad;
    const torch::jit::GraphOptimizerEnabledGuard plain(false);
    at::Tensor tensor = to_torch(input);
    if (tuning == Tuning::fast) tensor = tensor.contiguous(fast_layout(tensor.dim()));
    return outputs_of(module.forward({tensor}));
  });
}

class TorchScript final : public Engine {
 public:
  TorchScript(Tuning tuning, const EngineSettings& settings)
      : tuning_(tuning), settings_(settings) {}

  [[nodiscard]] EngineInfo info() const override {
    return {.name = kName, .version = TORCH_VERSION, .threads = settings_.threads};
  }

  [[nodiscard]] Network load(const fs::path& artifact) override {
    torch::jit::Module module = read(artifact);
    if (tuning_ == Tuning::fast) module = tuned(std::move(module), artifact);
    auto held = std::make_shared<torch::jit::Module>(std::move(module));
    return network_in(workers_, settings_, kBatch,
                      [held, tuning = tuning_](const TensorView& input) {
                        return forward(*held, tuning, input);
                      });
  }

  [[nodiscard]] std::optional<std::map<std::string, Tensor>> weights(
      const fs::path& artifact) override {
    const torch::jit::Module module = read(artifact);  // as exported, also for the tuned engine
    std::map<std::string, Tensor> out;
    const auto add = [&out](const auto& entry) {
      if (entry.value.is_floating_point()) out.emplace(entry.name, to_ours(entry.value, kName));
    };
    for (const auto& parameter : module.named_parameters()) add(parameter);
    for (const auto& buffer : module.named_buffers()) add(buffer);
    return out;
  }

 private:
  Tuning tuning_;
  EngineSettings settings_;
  std::shared_ptr<TorchWorkers> workers_;  // of all its networks
};

}  // namespace
}  // namespace lunart

extern "C" __attribute__((visibility("default"))) lunart::Engine* lunart_open_torchscript(
    const lunart::EngineSettings& settings) {
  return new lunart::TorchScript(lunart::Tuning::fast, settings);
}

extern "C" __attribute__((visibility("default"))) lunart::Engine* lunart_open_torchscript_exact(
    const lunart::EngineSettings& settings) {
  return new lunart::TorchScript(lunart::Tuning::exact, settings);
}
