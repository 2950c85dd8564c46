#include <algorithm>
#include <array>

#include "io/text.hpp"
#include "io/volume_write.hpp"
#include "lunart/error.hpp"
#include "lunart/report.hpp"
#include "lunart/volume.hpp"

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

// What an output must not replace. A scan that cannot be read is the run's to report.
std::vector<fs::path> protected_files(const std::vector<fs::path>& scans) {
  std::vector<fs::path> files;
  for (const fs::path& scan : scans) {
    files.push_back(scan);
    std::error_code error;
    const fs::path behind_the_link = fs::canonical(scan, error);
    if (!error) files.push_back(behind_the_link);
    try {
      for (fs::path& file : files_of_scan(scan)) files.push_back(std::move(file));
    } catch (const Error&) {
      continue;
    }
  }
  return files;
}

void check_place(const fs::path& output) {
  const fs::path folder = fs::absolute(output).parent_path();
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    throw Error(Errc::output,
                output.string() + ": its folder " + folder.string() + " does not exist");
  }
}

bool is_inside(const fs::path& path, const fs::path& folder) {
  std::error_code error;
  const fs::path root = fs::canonical(folder, error);
  const fs::path real = fs::weakly_canonical(path, error);
  return !root.empty() && std::ranges::mismatch(root, real).in1 == root.end();
}

void check_mask_name(const std::string& mask) {
  if (mask.empty() || is_volume_name(mask)) return;
  misuse("the mask \"" + printable(mask) + "\" must end in " + std::string(kVolumeExtensions));
}

// Slicer tells its markups from other JSON by the name.
void check_markups_name(const std::string& markups) {
  if (markups.empty() || markups.ends_with(".mrk.json")) return;
  misuse("the markups \"" + printable(markups) + "\" must end in .mrk.json");
}

}  // namespace

void check_outputs(const Outputs& outputs, const std::vector<fs::path>& scans,
                   const fs::path& bundle) {
  check_mask_name(outputs.mask);
  check_mask_name(outputs.region_mask);
  check_markups_name(outputs.markups);
  const std::vector<fs::path> kept = protected_files(scans);
  std::vector<fs::path> named;
  for (const auto* output :
       {&outputs.json, &outputs.csv, &outputs.mask, &outputs.region_mask, &outputs.markups}) {
    if (output->empty()) continue;
    const fs::path path = *output;
    check_place(path);
    for (const fs::path& other : named) {
      if (same_family(path, other)) {
        misuse("two outputs would be the same file: " + other.string() + " and " + path.string());
      }
    }
    for (const fs::path& scan : kept) {
      if (same_family(path, scan)) {
        misuse(path.string() + ": would overwrite the scan's " + scan.string() +
               "; give the output another name");
      }
    }
    if (is_inside(path, bundle)) {
      misuse(path.string() + ": lies in the bundle " + bundle.string() +
             ", which must stay as it was verified; write elsewhere");
    }
    named.push_back(path);
  }
}

}  // namespace lunart
