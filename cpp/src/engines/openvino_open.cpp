#include "engines/engine_module.hpp"
#include "engines/model_cache.hpp"
#include "engines/openvino.hpp"

namespace lunart {

std::unique_ptr<Engine> open_openvino(const EngineSettings& settings) {
  const EngineModule module =
      open_engine_module("openvino", {.module = "openvino", .pip = "openvino", .version_of = {}});
  using Factory = Engine* (*)(const EngineSettings&, std::unique_ptr<ModelCache>);
  // POSIX requires that the object pointer dlsym returns converts to a function pointer.
  const auto make =
      reinterpret_cast<Factory>(symbol_of(module, "openvino", "lunart_open_openvino"));
  return std::unique_ptr<Engine>(make(settings, open_model_cache("openvino")));
}

}  // namespace lunart
