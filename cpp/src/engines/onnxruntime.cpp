// The ONNX Runtime engine. Its C++ header is a thin layer over the C interface of a library that is
// opened at run time, so this file needs no library at build time.
#define ORT_API_MANUAL_INIT
#include <onnxruntime_cxx_api.h>
#undef ORT_API_MANUAL_INIT

#include <onnxruntime_session_options_config_keys.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "engines/onnx_weights.hpp"
#include "engines/onnxruntime.hpp"
#include "engines/onnxruntime_library.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

// A crop costs the same whatever the batch: few crops a call share out best between the lanes, and
// need least memory.
constexpr std::size_t kBatch = 4;

std::string first_line(const char* text) {
  const std::string all = text;
  return all.substr(0, all.find('\n'));
}

Ort::MemoryInfo cpu_memory() {
  return Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
}

// One a process, and never destroyed: the library may be gone before our statics are. Nothing of
// Ort works before it.
Ort::Env& environment() {
  static Ort::Env* const env = [] {
    Ort::InitApi(onnxruntime_library().api);
    // Every error comes back as a status, too; the log would say it a second time.
    auto* const made = new Ort::Env(ORT_LOGGING_LEVEL_FATAL, "lunart");
    made->DisableTelemetryEvents();
    // One arena for all networks needs less memory than one each. It fails where a host program
    // that uses this library registered its own, which does as well.
    const Ort::ArenaCfg as_usual(0, -1, -1, -1);
    const Ort::Status ignored(
        Ort::GetApi().CreateAndRegisterAllocator(*made, cpu_memory(), as_usual));
    return made;
  }();
  return *env;
}

Ort::SessionOptions session_options(const EngineSettings& settings) {
  Ort::SessionOptions options;
  // The calling lanes compute too, so the pool that they share holds the other threads: this number
  // counts one caller.
  options.SetIntraOpNumThreads(std::max(1, settings.threads - settings.lanes() + 1));
  options.SetInterOpNumThreads(1);
  options.SetExecutionMode(ORT_SEQUENTIAL);
  options.SetGraphOptimizationLevel(ORT_ENABLE_ALL);
  options.SetLogSeverityLevel(ORT_LOGGING_LEVEL_FATAL);
  options.AddConfigEntry(kOrtSessionOptionsConfigAllowIntraOpSpinning, "0");
  options.AddConfigEntry(kOrtSessionOptionsConfigUseEnvAllocators, "1");
  return options;
}

void require_float(const Ort::TypeInfo& info, const std::string& name) {
  if (info.GetONNXType() == ONNX_TYPE_TENSOR &&
      info.GetTensorTypeAndShapeInfo().GetElementType() == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT) {
    return;
  }
  throw Error(Errc::engine, name + " is no float32 tensor");
}

class LoadedModel {
 public:
  LoadedModel(Ort::Env& env, const std::filesystem::path& artifact, const EngineSettings& settings)
      : session_(env, artifact.c_str(), session_options(settings)) {
    const Ort::AllocatorWithDefaultOptions allocator;
    if (session_.GetInputCount() != 1) {
      throw Error(Errc::engine,
                  "has " + std::to_string(session_.GetInputCount()) + " inputs, expected 1");
    }
    input_ = session_.GetInputNameAllocated(0, allocator).get();
    require_float(session_.GetInputTypeInfo(0), "input " + input_);
    for (std::size_t k = 0; k < session_.GetOutputCount(); ++k) {
      outputs_.emplace_back(session_.GetOutputNameAllocated(k, allocator).get());
      require_float(session_.GetOutputTypeInfo(k), "output " + outputs_.back());
    }
  }

  std::vector<Tensor> run(const TensorView& input) {
    // CreateTensor wants a mutable pointer; a graph never writes to its inputs.
    const Ort::Value value =
        Ort::Value::CreateTensor<float>(memory_, const_cast<float*>(input.data.data()),
                                        input.data.size(), input.shape.data(), input.shape.size());
    const char* const input_name = input_.c_str();
    std::vector<const char*> output_names;
    for (const std::string& name : outputs_) output_names.push_back(name.c_str());
    const std::vector<Ort::Value> values = session_.Run(
        Ort::RunOptions{nullptr}, &input_name, &value, 1, output_names.data(), output_names.size());
    std::vector<Tensor> tensors;
    for (const Ort::Value& output : values) {
      const auto shape = output.GetTensorTypeAndShapeInfo();
      const float* const data = output.GetTensorData<float>();
      tensors.push_back({shape.GetShape(), {data, data + shape.GetElementCount()}});
    }
    return tensors;
  }

 private:
  Ort::Session session_;
  Ort::MemoryInfo memory_{cpu_memory()};
  std::string input_;
  std::vector<std::string> outputs_;
};

class OnnxRuntime final : public Engine {
 public:
  explicit OnnxRuntime(const EngineSettings& settings) : settings_(settings) {}

  [[nodiscard]] EngineInfo info() const override {
    return {.name = "onnxruntime",
            .version = onnxruntime_library().version,
            .threads = settings_.threads};
  }

  [[nodiscard]] Network load(const std::filesystem::path& artifact) override {
    const std::string path = artifact.string();
    std::shared_ptr<LoadedModel> model;
    try {
      model = std::make_shared<LoadedModel>(environment(), artifact, settings_);
    } catch (const std::exception& error) {
      throw Error(Errc::engine,
                  path + ": ONNX Runtime cannot load it: " + first_line(error.what()));
    }
    const auto run = [model, path](const TensorView& input) {
      try {
        return model->run(input);
      } catch (const std::exception& error) {
        throw Error(Errc::engine, path + ": ONNX Runtime failed: " + first_line(error.what()));
      }
    };
    return {.run = run, .lanes = settings_.lanes(), .batch = kBatch};
  }

  [[nodiscard]] std::optional<std::map<std::string, Tensor>> weights(
      const std::filesystem::path& artifact) override {
    return read_onnx_weights(artifact);
  }

 private:
  EngineSettings settings_;
};

}  // namespace

std::unique_ptr<Engine> open_onnxruntime(const EngineSettings& settings) {
  (void)onnxruntime_library();  // throws when there is none
  return std::make_unique<OnnxRuntime>(settings);
}

}  // namespace lunart
