#include "engines/engine_module.hpp"

#include <dlfcn.h>
#include <link.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "engines/elf.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void unavailable(const std::string& engine, const std::string& why) {
  throw Error(Errc::engine, engine + ": " + why);
}

fs::path find_module(const std::string& engine, const std::string& file) {
  for (const fs::path& folder : package_folders()) {
    std::error_code error;
    if (fs::exists(folder / file, error)) return fs::weakly_canonical(folder / file, error);
  }
  unavailable(engine, file + " is not beside this program (" + own_folder().string() +
                          ") nor in its Python package; install lunart again, or build with it");
}

// What the build wrote beside the module: the library it was built with, and where to look for it.
struct Recipe {
  std::string version, library;  // 2.13.0+cpu, libtorch_cpu.so
  std::vector<fs::path> lib_folders;
};

Recipe read_recipe(const std::string& engine, const fs::path& module) {
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
    Recipe recipe{json.at("version").get<std::string>(), json.at("library").get<std::string>(), {}};
    for (const auto& folder : json.at("lib_folders")) {
      recipe.lib_folders.push_back(module.parent_path() / folder.get<std::string>());
    }
    if (recipe.lib_folders.empty()) throw std::runtime_error("lib_folders is empty");
    return recipe;
  } catch (const std::exception& error) {
    unavailable(engine, path.string() + ": " + error.what() + "; install lunart again");
  }
}

fs::path find_library(const std::string& engine, const Recipe& recipe, const std::string& pip) {
  if (const auto found = loaded_library(recipe.library)) return *found;
  for (const fs::path& folder : recipe.lib_folders) {
    std::error_code error;
    if (!fs::exists(folder / recipe.library, error)) continue;
    // A file that is a link keeps its place: what tells its version lies beside the link.
    return fs::weakly_canonical(folder, error) / recipe.library;
  }
  unavailable(engine, recipe.library + " is not installed beside lunart (looked in " +
                          recipe.lib_folders.front().string() + "); pip install " + pip +
                          "==" + release_of(recipe.version));
}

void require_version(const std::string& engine, const Recipe& recipe, const fs::path& library,
                     const EngineLibrary& wanted) {
  if (wanted.version_of == nullptr) return;
  std::string found;
  try {
    found = wanted.version_of(library);
  } catch (const std::exception& error) {
    unavailable(engine, error.what());
  }
  if (release_of(found) == release_of(recipe.version)) return;
  unavailable(engine, "lunart was built for " + wanted.pip + " " + recipe.version + " and " +
                          library.string() + " is " + wanted.pip + " " + found + "; pip install " +
                          wanted.pip + "==" + release_of(recipe.version) +
                          ", or build lunart again with " + release_of(found));
}

void* open_library(const std::string& engine, const fs::path& path) {
  if (is_cut_off(path)) unavailable(engine, path.string() + " is cut off; install it again");
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (handle == nullptr) unavailable(engine, dlerror());
  return handle;  // never closed: these libraries do not survive it
}

}  // namespace

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

std::vector<fs::path> package_folders() {
  const fs::path home = own_folder();
  const std::string python = LUNART_PYTHON_VERSION;  // of the wheel that holds this program
  return {
      home,                        // the Python package, or the SDK's lib/lunart
      home / "python" / "lunart",  // the source tree
      home / "lunart",             // beside the SDK's liblunart.so
      home / ".." / "lib" / ("python" + python) / "site-packages" / "lunart",
      home / ".." / "lib" / ("python" + python) / "dist-packages" / "lunart",
      home / ".." / "lib" / "lunart",
  };
}

std::optional<fs::path> loaded_library(const std::string& file) {
  std::pair<std::string, std::optional<fs::path>> search{file, {}};
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* out) {
        auto& [name, found] = *static_cast<decltype(search)*>(out);
        const fs::path path = info->dlpi_name == nullptr ? "" : info->dlpi_name;
        if (!path.filename().string().starts_with(name)) return 0;
        found = path;
        return 1;
      },
      &search);
  return search.second;
}

std::string release_of(const std::string& version) {
  return version.substr(0, version.find('+'));
}

EngineModule open_engine_module(const std::string& engine, const EngineLibrary& library) {
  const fs::path module = find_module(engine, "liblunart_" + library.module + ".so");
  const Recipe recipe = read_recipe(engine, module);
  const fs::path found = find_library(engine, recipe, library.pip);
  require_version(engine, recipe, found, library);
  open_library(engine, found);
  return {open_library(engine, module), recipe.version, found};
}

void* symbol_of(const EngineModule& module, const std::string& engine, const char* name) {
  void* const symbol = dlsym(module.handle, name);
  if (symbol == nullptr) unavailable(engine, "its module is of another lunart version");
  return symbol;
}

}  // namespace lunart
