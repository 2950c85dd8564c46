#include <algorithm>
#include <array>

#include "lunart/error.hpp"
#include "lunart/report.hpp"

namespace lunart {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void misuse(const std::string& what) {
  throw Error(Errc::usage, what);
}

// x.mhd is written with x.zraw beside it, so the whole family of names belongs together.
bool same_family(const fs::path& a, const fs::path& b) {
  constexpr std::array kFamily{".mhd", ".mha", ".raw", ".zraw"};
  const auto is_image = [&](const fs::path& path) {
    return std::ranges::find(kFamily, path.extension()) != kFamily.end();
  };
  std::error_code error;
  if (fs::equivalent(a, b, error)) return true;
  const fs::path at = fs::absolute(a).lexically_normal();
  const fs::path bt = fs::absolute(b).lexically_normal();
  if (at == bt) return true;
  return is_image(at) && is_image(bt) && at.stem() == bt.stem() &&
         (at.parent_path() == bt.parent_path() ||
          fs::equivalent(at.parent_path(), bt.parent_path(), error));
}

void check_place(const fs::path& output) {
  const fs::path folder = fs::absolute(output).parent_path();
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    throw Error(Errc::output,
                output.string() + ": its folder " + folder.string() + " does not exist");
  }
}

void check_mask_name(const std::string& mask) {
  const fs::path extension = fs::path(mask).extension();
  if (!mask.empty() && extension != ".mhd" && extension != ".mha") {
    misuse("the mask \"" + mask + "\" must end in .mhd or .mha");
  }
}

}  // namespace

void check_outputs(const Outputs& outputs, const std::vector<fs::path>& scans) {
  check_mask_name(outputs.mask);
  check_mask_name(outputs.region_mask);
  std::vector<fs::path> named;
  for (const auto* output : {&outputs.json, &outputs.csv, &outputs.mask, &outputs.region_mask}) {
    if (output->empty()) continue;
    const fs::path path = *output;
    check_place(path);
    for (const fs::path& other : named) {
      if (same_family(path, other)) {
        misuse("two outputs would be the same file: " + other.string() + " and " + path.string());
      }
    }
    for (const fs::path& scan : scans) {
      if (same_family(path, scan)) {
        misuse(path.string() + ": would overwrite the scan " + scan.string() +
               "; give the output another name");
      }
    }
    named.push_back(path);
  }
}

}  // namespace lunart
