// The OpenVINO engine: the bundle's .onnx on OpenVINO's CPU plugin. Each lane has a stream of its
// own, so that two inputs run side by side without a barrier at every layer.
#include <openvino/op/constant.hpp>
#include <openvino/openvino.hpp>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <sstream>

#include "engines/engine.hpp"
#include "engines/model_cache.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

constexpr const char* kDevice = "CPU";

// OpenVINO's messages are a stack of "Exception from src/..." and "Check '...' failed at src/..."
// lines around the one that tells something.
std::string readable(const std::string& message) {
  std::istringstream lines(message);
  std::string out;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line.starts_with("Exception from ")) continue;
    out += (out.empty() ? "" : " ") + line;
  }
  return out.empty() ? message : out;
}

// Calls OpenVINO; whatever it throws becomes Errc::engine that begins with `what`.
template <class Call>
auto guarded(const std::string& what, const Call& call) -> decltype(call()) {
  try {
    return call();
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    throw Error(Errc::engine, "openvino: " + what + ": " + readable(error.what()));
  } catch (...) {
    throw Error(Errc::engine, "openvino: " + what + ": an unknown exception");
  }
}

// Never destroyed: on processors with AMX the CPU plugin gives the thread that opens it a larger
// stack for signals and frees it when the last core goes. Where that happens on another thread, the
// first one is left with a freed stack, and the next Ctrl-C ends the process with a segmentation
// fault.
ov::Core& core() {
  static auto& kept = *new ov::Core;
  return kept;
}

std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string content{std::istreambuf_iterator<char>(file), {}};
  if (!file) throw Error(Errc::engine, "openvino: " + path.string() + " cannot be read");
  return content;
}

Tensor to_ours(const ov::Tensor& tensor) {
  const ov::Shape& shape = tensor.get_shape();
  const auto* data = tensor.data<const float>();
  return {{shape.begin(), shape.end()}, {data, data + tensor.get_size()}};
}

// A compiled model and its requests: one for each call that runs at the same time.
class Requests {
 public:
  explicit Requests(ov::CompiledModel model) : model_(std::move(model)) {}

  std::vector<Tensor> run(const TensorView& input) {
    return guarded("a network failed", [&] {
      ov::InferRequest request = take();
      // The caller's memory, without a copy: OpenVINO does not write to its inputs.
      request.set_input_tensor(ov::Tensor(ov::element::f32,
                                          {input.shape.begin(), input.shape.end()},
                                          const_cast<float*>(input.data.data())));
      request.start_async();
      request.wait();
      std::vector<Tensor> outputs;
      for (std::size_t k = 0; k < model_.outputs().size(); ++k) {
        outputs.push_back(to_ours(request.get_output_tensor(k)));
      }
      give_back(std::move(request));  // not one that failed
      return outputs;
    });
  }

 private:
  ov::InferRequest take() {
    const std::scoped_lock lock(mutex_);
    if (idle_.empty()) return model_.create_infer_request();
    ov::InferRequest request = std::move(idle_.back());
    idle_.pop_back();
    return request;
  }

  void give_back(ov::InferRequest request) {
    const std::scoped_lock lock(mutex_);
    idle_.push_back(std::move(request));
  }

  ov::CompiledModel model_;
  std::mutex mutex_;
  std::vector<ov::InferRequest> idle_;
};

class OpenVino final : public Engine {
 public:
  OpenVino(const EngineSettings& settings, std::unique_ptr<ModelCache> cache)
      : settings_(settings), cache_(std::move(cache)) {
    guarded("its CPU plugin cannot be opened (reinstall openvino)", [&] {
      capabilities_ = core().get_property(kDevice, ov::device::capabilities);
      if (settings_.precision == Precision::bf16) require_bf16();
    });
  }

  [[nodiscard]] EngineInfo info() const override {
    const std::string build = ov::get_openvino_version().buildNumber;  // 2026.4.1-22020-...
    return {.name = "openvino",
            .version = build.substr(0, build.find('-')),
            .precision = hint().to_string(),
            .threads = settings_.threads};
  }

  [[nodiscard]] std::vector<Warning> warnings() const override { return cache_->warnings(); }

  [[nodiscard]] Network load(const std::filesystem::path& artifact) override {
    ov::CompiledModel model = guarded(artifact.string(), [&] { return compiled(artifact); });
    require_floats(model, artifact);
    auto requests = std::make_shared<Requests>(std::move(model));
    return {.run = [requests](const TensorView& input) { return requests->run(input); },
            .lanes = settings_.lanes(),
            // One crop for each thread of a call. More are no faster, and a shorter last batch
            // would be a new shape, which costs a stream some milliseconds.
            .batch = static_cast<std::size_t>(settings_.threads_a_lane())};
  }

  [[nodiscard]] std::optional<std::map<std::string, Tensor>> weights(
      const std::filesystem::path& artifact) override {
    return guarded(artifact.string(), [&] {
      std::map<std::string, Tensor> out;
      for (const auto& node : core().read_model(content_of(artifact), ov::Tensor())->get_ops()) {
        const auto constant = std::dynamic_pointer_cast<ov::op::v0::Constant>(node);
        if (!constant || constant->get_element_type() != ov::element::f32) continue;
        // The ONNX reader's own constants have no name but a generated one.
        if (constant->get_friendly_name() == constant->get_name()) continue;
        const ov::Shape& shape = constant->get_shape();
        out.emplace(constant->get_friendly_name(),
                    Tensor{{shape.begin(), shape.end()}, constant->cast_vector<float>()});
      }
      return out;
    });
  }

 private:
  void require_bf16() {
    if (std::ranges::count(capabilities_, ov::device::capability::BF16) != 0) return;
    throw Error(Errc::engine, "openvino: this processor (" + processor() +
                                  ") does not compute in bf16; use --precision f32");
  }

  [[nodiscard]] std::string processor() {
    return core().get_property(kDevice, ov::device::full_name);
  }

  [[nodiscard]] ov::element::Type hint() const {
    return settings_.precision == Precision::bf16 ? ov::element::bf16 : ov::element::f32;
  }

  // Precision is set always: OpenVINO's own choice is bf16 where the processor has it.
  [[nodiscard]] ov::AnyMap properties() const {
    return {ov::hint::inference_precision(hint()), ov::num_streams(settings_.lanes()),
            ov::inference_num_threads(settings_.threads), ov::hint::enable_cpu_pinning(false)};
  }

  // All that a compiled model depends on, but for the model.
  [[nodiscard]] std::string conditions() {
    std::string all = ov::get_openvino_version().buildNumber;
    all += "\n" + processor();
    for (const auto& what : capabilities_) all += " " + what;
    for (const auto& [name, value] : properties()) {
      all += "\n" + name + " " + value.as<std::string>();
    }
    // oneDNN's choice of kernels, which a compiled model holds.
    for (const char* name : {"ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"}) {
      const char* const value = std::getenv(name);
      if (value != nullptr) all += std::string("\n") + name + " " + value;
    }
    return all;
  }

  ov::CompiledModel compiled(const std::filesystem::path& artifact) {
    const std::string onnx = content_of(artifact);
    const std::string key = cache_->key_of(onnx, conditions());
    if (const auto blob = cache_->find(key)) {
      try {
        std::istringstream stream(*blob);
        return core().import_model(stream, kDevice, properties());
      } catch (const std::exception& error) {
        cache_->reject(key, "cannot be used (" + readable(error.what()) + ")");
      }
    }
    ov::CompiledModel model =
        core().compile_model(core().read_model(onnx, ov::Tensor()), kDevice, properties());
    std::ostringstream stream;
    model.export_model(stream);
    cache_->keep(key, stream.view());
    return model;
  }

  static void require_floats(const ov::CompiledModel& model,
                             const std::filesystem::path& artifact) {
    const auto require = [&](const ov::Output<const ov::Node>& port) {
      if (port.get_element_type() == ov::element::f32) return;
      throw Error(Errc::engine, "openvino: " + artifact.string() + ": a tensor is " +
                                    port.get_element_type().to_string() + ", not float32");
    };
    std::ranges::for_each(model.inputs(), require);
    std::ranges::for_each(model.outputs(), require);
    if (model.inputs().size() != 1) {
      throw Error(Errc::engine, "openvino: " + artifact.string() + ": takes " +
                                    std::to_string(model.inputs().size()) +
                                    " inputs; the pipeline's networks take one");
    }
  }

  EngineSettings settings_;
  std::unique_ptr<ModelCache> cache_;
  std::vector<std::string> capabilities_;
};

}  // namespace
}  // namespace lunart

extern "C" __attribute__((visibility("default"))) lunart::Engine* lunart_open_openvino(
    const lunart::EngineSettings& settings, std::unique_ptr<lunart::ModelCache> cache) {
  return new lunart::OpenVino(settings, std::move(cache));
}
