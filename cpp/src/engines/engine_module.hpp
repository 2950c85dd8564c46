// Opens liblunart_<name>.so, the only thing of ours that links that library (libtorch, OpenVINO),
// after comparing versions: a mismatch met by the dynamic loader would end the program before it
// could say why.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace lunart {

struct EngineModule {
  void* handle{};       // for dlsym; never closed
  std::string version;  // of the library that it was built for and that was found
  std::filesystem::path library;
};

// A library whose C++ classes cross no version of it.
struct EngineLibrary {
  std::string module;  // torch: liblunart_torch.so, with liblunart_torch.json beside it
  std::string pip;     // what pip install gets it, without a version
  // The version of the library at this path; throws std::runtime_error when it does not tell.
  // Null where the library's file name carries the version.
  std::string (*version_of)(const std::filesystem::path& library);
};

// Throws Errc::engine beginning with `engine`, saying which library is missing or of which version,
// and the way out.
[[nodiscard]] EngineModule open_engine_module(const std::string& engine,
                                              const EngineLibrary& library);

// A symbol of the module. Throws Errc::engine.
[[nodiscard]] void* symbol_of(const EngineModule& module, const std::string& engine,
                              const char* name);

// The folder of the program, library or extension module that holds this code.
[[nodiscard]] std::filesystem::path own_folder();

// Where the Python package (or the SDK's lib/lunart) may be, seen from that folder.
[[nodiscard]] std::vector<std::filesystem::path> package_folders();

// The path of a library that is already in this process (Python's), if any. `file` is how its name
// begins: the version may follow.
[[nodiscard]] std::optional<std::filesystem::path> loaded_library(const std::string& file);

// 2.13.0+cpu and 2.13.0 are the same library for us.
[[nodiscard]] std::string release_of(const std::string& version);

}  // namespace lunart
