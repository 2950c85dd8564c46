#include "bundle/bundle.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <span>
#include <vector>

#include "bundle/sha256.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kLargestManifest = 4U << 20U;

std::string read_manifest(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path.parent_path(), error)) {
    throw Error(Errc::bundle, path.parent_path().string() +
                                  ": no such bundle; make one with luna-export, or name its folder "
                                  "with --bundle");
  }
  const std::uintmax_t size = fs::file_size(path, error);
  if (error || size > kLargestManifest) {
    throw Error(Errc::bundle,
                path.string() + ": " + (error ? error.message() : "is too large for a manifest") +
                    "; a bundle is a folder with a manifest.json, made by luna-export");
  }
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file && !file.eof()) throw Error(Errc::bundle, path.string() + ": cannot be read");
  return text;
}

// Also through links: a bundle must not make us read anything outside it.
bool stays_inside(const fs::path& folder, const fs::path& relative) {
  if (relative.empty() || relative == "." || relative.is_absolute()) return false;
  if (std::ranges::find(relative, fs::path("..")) != relative.end()) return false;
  std::error_code error;
  const fs::path root = fs::weakly_canonical(folder, error);
  if (error) return false;
  const fs::path real = fs::weakly_canonical(folder / relative, error);
  return !error && std::ranges::mismatch(root, real).in1 == root.end();
}

void check_file(const fs::path& folder, const BundleFile& file) {
  const std::string name = (folder / file.file).string();
  if (!stays_inside(folder, file.file)) {
    throw Error(Errc::bundle, (folder / "manifest.json").string() + ": names \"" + file.file +
                                  "\", which leaves the bundle; refused");
  }
  std::error_code error;
  const std::uintmax_t bytes = fs::file_size(folder / file.file, error);
  if (error) {
    throw Error(Errc::bundle, name + ": " + error.message() +
                                  ", but the manifest lists it; copy or export the bundle again");
  }
  if (bytes != file.bytes) {
    throw Error(Errc::bundle, name + ": has " + std::to_string(bytes) +
                                  " bytes and the manifest says " + std::to_string(file.bytes) +
                                  "; copy or export the bundle again");
  }
  const std::string found = sha256_of_file(folder / file.file);
  if (found != file.sha256) {
    throw Error(Errc::bundle, name + ": its sha256 is " + found + " and the manifest says " +
                                  file.sha256 + "; copy or export the bundle again");
  }
}

std::vector<BundleFile> files_of(const Manifest& manifest) {
  std::vector<BundleFile> files;
  if (manifest.golden_input) files.push_back(*manifest.golden_input);
  if (manifest.golden_result) files.push_back(*manifest.golden_result);
  for (const auto& [name, golden] : manifest.golden_networks) files.push_back(golden);
  for (const auto& [name, model] : manifest.models) {
    files.push_back(model.weights);
    files.insert(files.end(), model.artifacts.begin(), model.artifacts.end());
  }
  return files;
}

}  // namespace

Bundle open_bundle(const fs::path& folder) {
  const fs::path path = folder / "manifest.json";
  const std::string text = read_manifest(path);
  Bundle bundle{folder, sha256(std::as_bytes(std::span(text))), parse_manifest(text, path)};
  std::set<std::string> seen;
  for (const BundleFile& file : files_of(bundle.manifest)) {
    check_file(folder, file);
    if (!seen.insert(file.file).second) {
      throw Error(Errc::bundle, path.string() + ": lists \"" + file.file + "\" twice");
    }
  }
  return bundle;
}

BundleTask task_of(const fs::path& folder) {
  const fs::path path = folder / "manifest.json";
  return parse_manifest(read_manifest(path), path).task;
}

void require_task(const Bundle& bundle, BundleTask wanted) {
  if (bundle.manifest.task == wanted) return;
  throw Error(
      Errc::usage,
      bundle.folder.string() +
          (wanted == BundleTask::lung_nodules
               ? ": this bundle classifies images: use lunart.Classifier, or luna_infer "
                 "--bundle DIR picture.png"
               : ": this bundle finds nodules in CT scans: use lunart.Runner, or luna_infer "
                 "--bundle DIR scan.mhd"));
}

}  // namespace lunart
