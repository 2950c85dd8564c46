#include "engines/torch_module.hpp"

#include <dlfcn.h>
#include <link.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "lunart/error.hpp"

namespace lunart {
namespace {

namespace fs = std::filesystem;

constexpr const char* kModule = "liblunart_torch.so";

[[noreturn]] void unavailable(const std::string& why) {
  throw Error(Errc::engine, "torchscript: " + why);
}

// The folder of the program or extension module that holds this code.
fs::path own_folder() {
  Dl_info info{};
  static const char anchor = 0;
  if (dladdr(&anchor, &info) == 0 || info.dli_fname == nullptr) return fs::current_path();
  std::error_code error;
  const fs::path self = info.dli_fname;
  // A program is known by the name it was called with; the kernel knows better.
  const fs::path real = self.filename().string().find(".so") == std::string::npos
                            ? fs::read_symlink("/proc/self/exe", error)
                            : fs::weakly_canonical(self, error);
  return error ? self.parent_path() : real.parent_path();
}

fs::path find_module() {
  const fs::path home = own_folder();
  const std::string python = LUNART_PYTHON_VERSION;  // of the wheel that holds this program
  const std::vector<fs::path> places{
      home,                        // the Python package
      home / "python" / "lunart",  // the source tree
      home / ".." / "lib" / ("python" + python) / "site-packages" / "lunart",
      home / ".." / "lib" / ("python" + python) / "dist-packages" / "lunart",
      home / ".." / "lib" / "lunart",
  };
  for (const fs::path& place : places) {
    std::error_code error;
    if (fs::exists(place / kModule, error)) return fs::weakly_canonical(place / kModule, error);
  }
  unavailable(std::string(kModule) + " is not beside this program (" + home.string() +
              ") nor in its Python package; install lunart's wheel again, or build with libtorch");
}

// The folder of a libtorch that is already in this process (Python's), if any.
std::optional<fs::path> loaded_libtorch() {
  std::optional<fs::path> found;
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* out) {
        const fs::path path = info->dlpi_name == nullptr ? "" : info->dlpi_name;
        if (path.filename() != "libtorch_cpu.so") return 0;
        *static_cast<std::optional<fs::path>*>(out) = path.parent_path();
        return 1;
      },
      &found);
  return found;
}

// 2.13.0+cpu and 2.13.0 are the same library for us.
std::string release_of(const std::string& version) {
  return version.substr(0, version.find('+'));
}

// torch/version.py, which the wheel has beside its lib folder, holds __version__ = '2.13.0+cpu'.
std::string version_of(const fs::path& torch_lib) {
  const fs::path path = torch_lib.parent_path() / "version.py";
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::size_t key = text.find("\n__version__ = ");
  const std::size_t open = text.find_first_of("'\"", key);
  const std::size_t close = text.find_first_of("'\"", open == std::string::npos ? open : open + 1);
  if (key == std::string::npos || close == std::string::npos) {
    unavailable(path.string() + " does not tell the version of libtorch; reinstall torch");
  }
  return text.substr(open + 1, close - open - 1);
}

// What the build wrote beside the module: the torch it was built with, and where to look for it.
struct Recipe {
  std::string version;
  std::vector<fs::path> lib_folders;
};

Recipe read_recipe(const fs::path& module) {
  fs::path path = module;
  path.replace_extension(".json");
  try {
    std::ifstream file(path);
    const auto json = nlohmann::json::parse(file);
    // The two sides share class layouts.
    if (json.at("lunart") != LUNART_VERSION) {
      throw std::runtime_error("is of lunart " + json.at("lunart").dump() + ", this is " +
                               LUNART_VERSION);
    }
    Recipe recipe{json.at("torch").get<std::string>(), {}};
    for (const auto& folder : json.at("lib_folders")) {
      recipe.lib_folders.push_back(module.parent_path() / folder.get<std::string>());
    }
    if (recipe.lib_folders.empty()) throw std::runtime_error("lib_folders is empty");
    return recipe;
  } catch (const std::exception& error) {
    unavailable(path.string() + ": " + error.what() + "; install lunart again");
  }
}

fs::path find_libtorch(const Recipe& recipe) {
  if (const auto loaded = loaded_libtorch()) return *loaded;
  for (const fs::path& folder : recipe.lib_folders) {
    std::error_code error;
    if (fs::exists(folder / "libtorch_cpu.so", error)) return fs::weakly_canonical(folder, error);
  }
  unavailable("libtorch is not installed beside lunart (looked in " +
              recipe.lib_folders.front().string() +
              "); pip install torch==" + release_of(recipe.version));
}

void* open_library(const fs::path& path) {
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (handle == nullptr) unavailable(dlerror());
  return handle;  // never closed: libtorch does not survive it
}

void* open_checked(const std::string& made_by_torch) {
  const fs::path module = find_module();
  const Recipe recipe = read_recipe(module);
  const fs::path libtorch = find_libtorch(recipe);
  const std::string found = version_of(libtorch);
  if (release_of(found) != release_of(recipe.version)) {
    unavailable("lunart was built for torch " + recipe.version + " and " + libtorch.string() +
                " is torch " + found + "; pip install torch==" + release_of(recipe.version) +
                ", or build lunart again with TORCH=torch==" + release_of(found));
  }
  // TorchScript is read by later versions, not by earlier ones; the exact one is what was verified.
  if (release_of(made_by_torch) != release_of(recipe.version)) {
    unavailable("the bundle was exported and verified with torch " + made_by_torch +
                " and this program runs torch " + recipe.version +
                "; export it again with luna-export of this version");
  }
  open_library(libtorch / "libtorch_cpu.so");
  return open_library(module);
}

}  // namespace

std::unique_ptr<Engine> open_torch_module(const char* factory, int threads,
                                          const std::string& made_by_torch) {
  using Factory = Engine* (*)(int);
  void* module = open_checked(made_by_torch);
  // POSIX requires that the object pointer dlsym returns converts to a function pointer.
  const auto make = reinterpret_cast<Factory>(dlsym(module, factory));
  if (make == nullptr) unavailable(std::string(kModule) + " is of another lunart version");
  return std::unique_ptr<Engine>(make(threads));
}

}  // namespace lunart
