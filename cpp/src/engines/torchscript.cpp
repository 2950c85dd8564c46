// The TorchScript engine: torch::jit::load, and a plain interpreter. The profiling executor is
// switched off around each call, because it recompiles for every new shape (the second call that
// takes minutes) and is no faster for convolutions.
#include <ATen/Parallel.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/script.h>
#include <torch/version.h>

#include <memory>

#include "engines/engine.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

// libtorch's thread count belongs to the process: give it back to a host program afterwards.
class ThreadsForNow {
 public:
  explicit ThreadsForNow(int threads) : before_(at::get_num_threads()) { set(threads); }
  ThreadsForNow(const ThreadsForNow&) = delete;
  ThreadsForNow& operator=(const ThreadsForNow&) = delete;
  ~ThreadsForNow() { set(before_); }

 private:
  static void set(int threads) {
    if (threads != at::get_num_threads()) at::set_num_threads(threads);
  }
  int before_;
};

Tensor to_ours(const at::Tensor& tensor) {
  if (tensor.scalar_type() != at::kFloat) {
    throw Error(Errc::engine, std::string("torchscript: a tensor is ") +
                                  c10::toString(tensor.scalar_type()) + ", not float32");
  }
  const at::Tensor flat = tensor.contiguous();
  const float* data = flat.const_data_ptr<float>();
  return {flat.sizes().vec(), {data, data + flat.numel()}};
}

std::vector<Tensor> outputs_of(const c10::IValue& value) {
  std::vector<Tensor> outputs;
  if (value.isTensor()) {
    outputs.push_back(to_ours(value.toTensor()));
  } else if (value.isTuple()) {
    for (const c10::IValue& part : value.toTupleRef().elements()) {
      outputs.push_back(to_ours(part.toTensor()));
    }
  } else {
    throw Error(Errc::engine,
                "torchscript: a network returned a " + value.tagKind() + " and not tensors");
  }
  return outputs;
}

// c10's message without the C++ backtrace that follows it.
std::string short_message(const c10::Error& error) {
  return error.what_without_backtrace();
}

class TorchScript final : public Engine {
 public:
  explicit TorchScript(int threads) : threads_(threads) {}

  [[nodiscard]] EngineInfo info() const override {
    return {.name = "torchscript", .version = TORCH_VERSION, .threads = threads_};
  }

  [[nodiscard]] Network load(const std::filesystem::path& artifact) override {
    auto module = std::make_shared<torch::jit::Module>(read(artifact));
    return {.run = [module = std::move(module), threads = threads_](const TensorView& input) {
      return run(*module, input, threads);
    }};
  }

  [[nodiscard]] std::optional<std::map<std::string, Tensor>> weights(
      const std::filesystem::path& artifact) override {
    const torch::jit::Module module = read(artifact);
    std::map<std::string, Tensor> out;
    const auto add = [&out](const auto& entry) {
      if (entry.value.is_floating_point()) out.emplace(entry.name, to_ours(entry.value));
    };
    for (const auto& parameter : module.named_parameters()) add(parameter);
    for (const auto& buffer : module.named_buffers()) add(buffer);
    return out;
  }

 private:
  static torch::jit::Module read(const std::filesystem::path& artifact) {
    try {
      torch::jit::Module module = torch::jit::load(artifact.string(), at::kCPU);
      module.eval();
      return module;
    } catch (const c10::Error& error) {
      throw Error(Errc::engine,
                  artifact.string() + ": libtorch cannot load it: " + short_message(error));
    } catch (const std::exception& error) {
      throw Error(Errc::engine, artifact.string() + ": libtorch cannot load it: " + error.what());
    }
  }

  static std::vector<Tensor> run(torch::jit::Module& module, const TensorView& input, int threads) {
    try {
      const c10::InferenceMode no_grad;
      const torch::jit::GraphOptimizerEnabledGuard plain(false);
      const ThreadsForNow scope(threads);
      // from_blob wants a mutable pointer; the networks have no in-place operation on their input.
      const at::Tensor tensor =
          at::from_blob(const_cast<float*>(input.data.data()),
                        at::IntArrayRef(input.shape.data(), input.shape.size()), at::kFloat);
      return outputs_of(module.forward({tensor}));
    } catch (const c10::Error& error) {
      throw Error(Errc::engine, "torchscript: a network failed: " + short_message(error));
    } catch (const Error&) {
      throw;
    } catch (const std::exception& error) {
      throw Error(Errc::engine, std::string("torchscript: a network failed: ") + error.what());
    }
  }

  int threads_;
};

}  // namespace
}  // namespace lunart

extern "C" __attribute__((visibility("default"))) lunart::Engine* lunart_open_torchscript(
    const lunart::EngineSettings& settings) {
  return new lunart::TorchScript(settings.threads);
}

extern "C" __attribute__((visibility("default"))) lunart::Engine* lunart_open_torchscript_exact(
    const lunart::EngineSettings& settings) {
  return new lunart::TorchScript(settings.threads);
}
