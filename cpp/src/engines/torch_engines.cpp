#include "engines/torch_engines.hpp"

#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

#include "engines/engine_module.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

// torch/version.py, which the wheel has beside its lib folder, holds __version__ = '2.13.0+cpu'.
std::string version_of(const std::filesystem::path& library) {
  const auto path = library.parent_path().parent_path() / "version.py";
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::size_t key = text.find("\n__version__ = ");
  const std::size_t open = text.find_first_of("'\"", key);
  const std::size_t close = text.find_first_of("'\"", open == std::string::npos ? open : open + 1);
  if (key == std::string::npos || close == std::string::npos) {
    throw std::runtime_error(path.string() +
                             " does not tell the version of libtorch; reinstall torch");
  }
  return text.substr(open + 1, close - open - 1);
}

std::unique_ptr<Engine> open(const std::string& engine, const char* factory,
                             const EngineSettings& settings) {
  const EngineModule module = open_engine_module(engine, {"torch", "torch", version_of});
  // TorchScript is read by later versions, not by earlier ones; the exact one is what was verified.
  if (!settings.made_by_torch.empty() &&
      release_of(settings.made_by_torch) != release_of(module.version)) {
    throw Error(Errc::engine, engine + ": the bundle was exported and verified with torch " +
                                  settings.made_by_torch + " and this program runs torch " +
                                  module.version +
                                  "; export it again with luna-export of this version");
  }
  using Factory = Engine* (*)(const EngineSettings&);
  // POSIX requires that the object pointer dlsym returns converts to a function pointer.
  const auto make = reinterpret_cast<Factory>(symbol_of(module, engine, factory));
  return std::unique_ptr<Engine>(make(settings));
}

}  // namespace

std::unique_ptr<Engine> open_torchscript(const EngineSettings& settings) {
  return open("torchscript", "lunart_open_torchscript", settings);
}

std::unique_ptr<Engine> open_torchscript_exact(const EngineSettings& settings) {
  return open("torchscript", "lunart_open_torchscript_exact", settings);
}

std::unique_ptr<Engine> open_aotinductor(const EngineSettings& settings) {
  return open("aotinductor", "lunart_open_aotinductor", settings);
}

}  // namespace lunart
