#include "io/itk_module.hpp"

#include <dlfcn.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engines/elf.hpp"
#include "engines/engine_module.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFile = "liblunart_itk.so";
constexpr const char* kWayOut =
    "; on Debian: apt-get install libinsighttoolkit5-dev libgdcm-dev libzip-dev, and build lunart "
    "again. Without it luna_infer reads MetaImage (.mhd, .mha), and lunart in Python reads every "
    "format: pip install 'lunart[dicom]'";

class Opening {
 public:
  explicit Opening(std::string subject) : subject_(std::move(subject)) {}

  [[noreturn]] void fail(const std::string& why) const {
    throw Error(Errc::scan, subject_ + ", and " + why + kWayOut);
  }

  [[nodiscard]] fs::path find() const {
    for (const fs::path& folder : package_folders()) {
      std::error_code error;
      if (fs::exists(folder / kFile, error)) return fs::weakly_canonical(folder / kFile, error);
    }
    fail(std::string(kFile) + " is not beside this program (" + own_folder().string() + ")");
  }

  // The two sides share class layouts.
  void require_version(fs::path module) const {
    module.replace_extension(".json");
    std::ifstream file(module);
    const auto json = nlohmann::json::parse(file, nullptr, false);
    const std::string found = json.is_object() ? json.value("lunart", "") : "";
    if (found != LUNART_VERSION) {
      fail(module.string() + " says that it is of lunart \"" + found + "\", this is " +
           LUNART_VERSION);
    }
  }

  [[nodiscard]] const ScanReader& open() const {
    const fs::path module = find();
    require_version(module);
    if (is_cut_off(module)) fail(module.string() + " is cut off");
    // Its libraries stay its own: Python may hold another ITK, or a libtorch with other versions.
    void* const handle = dlopen(module.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) fail("the module does not load (" + std::string(dlerror()) + ")");
    using Get = const ScanReader* (*)();
    // POSIX requires that the object pointer dlsym returns converts to a function pointer.
    const auto get = reinterpret_cast<Get>(dlsym(handle, "lunart_scan_reader"));
    if (get == nullptr) fail(module.string() + " is of another lunart version");
    return *get();
  }

 private:
  std::string subject_;
};

}  // namespace

const ScanReader& open_itk_module(const std::string& name, const std::string& format) {
  return Opening(name + ": " + format + " is read by lunart's ITK module").open();
}

}  // namespace lunart
