#include "engines/onnxruntime_library.hpp"

#include <dlfcn.h>
#include <onnxruntime_c_api.h>

#include <charconv>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "engines/elf.hpp"
#include "engines/engine_module.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFile = "libonnxruntime.so";  // the wheel's has its version behind it
constexpr const char* kVariable = "LUNART_ONNXRUNTIME";

[[noreturn]] void unavailable(const std::string& why) {
  throw Error(Errc::engine, "onnxruntime: " + why);
}

// Interface n came with release 1.n.
std::string needed() {
  return "1." + std::to_string(ORT_API_VERSION);
}

std::string way_out() {
  return std::string("; pip install 'onnxruntime>=") + needed() + "', or set " + kVariable +
         " to the library of ONNX Runtime " + needed() + " or later";
}

// The library in a folder under whichever name; the one with the version where there are links.
std::optional<fs::path> library_in(const fs::path& folder) {
  std::optional<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const fs::path& path = entry.path();
    if (!path.filename().string().starts_with(kFile)) continue;
    const auto rank = [](const fs::path& p) { return std::pair(p.native().size(), p); };
    if (!found || rank(*found) < rank(path)) found = path;
  }
  return found;
}

std::optional<fs::path> from_environment() {
  const char* const named = std::getenv(kVariable);
  if (named == nullptr || *named == '\0') return std::nullopt;
  std::error_code error;
  const auto found = fs::is_directory(named, error) ? library_in(named) : fs::path(named);
  if (found && fs::exists(*found, error)) return found;
  unavailable(std::string(kVariable) + " names " + named + ", where no " + kFile +
              " is; correct it, or unset it to use the pip package onnxruntime");
}

// What the build wrote into the source tree's package, which has no pip packages beside it.
std::vector<fs::path> folders_of_build(const fs::path& package) {
  std::ifstream file(package / "liblunart_onnxruntime.json");
  const auto json = nlohmann::json::parse(file, nullptr, false);
  std::vector<fs::path> folders;
  if (!json.is_object() || !json.contains("lib_folders")) return folders;
  for (const auto& folder : json["lib_folders"]) {
    if (folder.is_string()) folders.push_back(package / folder.get<std::string>());
  }
  return folders;
}

std::optional<fs::path> installed() {
  std::vector<fs::path> folders;
  for (const fs::path& package : package_folders()) {
    for (const fs::path& folder : folders_of_build(package)) folders.push_back(folder);
    folders.push_back(package / ".." / "onnxruntime" / "capi");
    folders.push_back(package);
  }
  const fs::path home = own_folder();
  for (const char* sdk : {".", "../lib", ".."}) folders.push_back(home / sdk);
  for (const fs::path& folder : folders) {
    if (const auto found = library_in(folder)) return found;
  }
  return std::nullopt;
}

void* open_library(const fs::path& path) {
  if (is_cut_off(path)) unavailable(path.string() + " is cut off" + way_out());
  // Never closed: its threads and ours end with the process.
  void* const handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) unavailable(std::string(dlerror()) + way_out());
  return handle;
}

void* find_and_open() {
  if (const auto named = from_environment()) return open_library(*named);
  if (const auto loaded = loaded_library(kFile)) return open_library(*loaded);
  if (const auto found = installed()) return open_library(*found);
  for (const char* name : {"libonnxruntime.so.1", kFile}) {
    if (void* const handle = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return handle;
  }
  unavailable("ONNX Runtime is not installed: " + std::string(kFile) +
              " is neither beside lunart (" + own_folder().string() +
              ") nor among the system's libraries" + way_out());
}

std::string path_of(void* symbol) {
  Dl_info info{};
  return dladdr(symbol, &info) != 0 && info.dli_fname != nullptr ? info.dli_fname : kFile;
}

// 1.21.3 is at least 1.21; a text that is no version is not.
bool is_new_enough(const std::string& version) {
  int major = 0;
  int minor = 0;
  const char* const end = version.data() + version.size();
  const auto first = std::from_chars(version.data(), end, major);
  if (first.ec != std::errc{} || first.ptr == end || *first.ptr != '.') return false;
  const auto second = std::from_chars(first.ptr + 1, end, minor);
  return second.ec == std::errc{} && std::pair(major, minor) >= std::pair(1, ORT_API_VERSION);
}

OnnxRuntimeLibrary open() {
  void* const handle = find_and_open();
  void* const symbol = dlsym(handle, "OrtGetApiBase");
  if (symbol == nullptr) unavailable(std::string(dlerror()) + way_out());
  // POSIX requires that the object pointer dlsym returns converts to a function pointer.
  const OrtApiBase* const base = reinterpret_cast<decltype(&OrtGetApiBase)>(symbol)();
  const std::string version = base->GetVersionString();
  // Asking an older library for the interface would print to standard error.
  const OrtApi* const api = is_new_enough(version) ? base->GetApi(ORT_API_VERSION) : nullptr;
  if (api == nullptr) {
    unavailable(path_of(symbol) + " is ONNX Runtime " + version + ", and lunart needs " + needed() +
                " or later" + way_out());
  }
  return {api, version};
}

}  // namespace

const OnnxRuntimeLibrary& onnxruntime_library() {
  static const OnnxRuntimeLibrary library = open();  // tried again after an exception
  return library;
}

}  // namespace lunart
