// A bundle on disk: the manifest, and every file it names found, inside the folder, of the recorded
// size and hash.
#pragma once

#include <filesystem>
#include <string>

#include "bundle/manifest.hpp"

namespace lunart {

struct Bundle {
  std::filesystem::path folder;
  std::string sha256;  // of manifest.json
  Manifest manifest;

  [[nodiscard]] std::filesystem::path path_of(const BundleFile& file) const {
    return folder / file.file;
  }
};

// Throws Errc::bundle naming the file and what is wrong with it.
[[nodiscard]] Bundle open_bundle(const std::filesystem::path& folder);

// Throws Errc::usage saying what opens the bundle instead.
void require_task(const Bundle& bundle, BundleTask wanted);

}  // namespace lunart
