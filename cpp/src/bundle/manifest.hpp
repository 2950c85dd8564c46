// manifest.json as a struct (docs/bundle.md). Parsing checks types and ranges; Bundle checks files.
#pragma once

#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lunart/geometry.hpp"
#include "pipeline/classify.hpp"
#include "pipeline/group.hpp"
#include "pipeline/region.hpp"
#include "pipeline/segment.hpp"

namespace lunart {

struct BundleFile {
  std::string file;  // relative to the bundle
  std::uint64_t bytes{};
  std::string sha256;
};

struct ArtifactEntry : BundleFile {
  std::string name, format, precision;
};

struct ModelEntry {
  std::vector<std::string> outputs;  // names, in the order an engine returns them
  BundleFile weights;
  std::vector<ArtifactEntry> artifacts;
};

struct PipelineSettings {
  bool orient_to_lps{true};
  RegionOptions region;
  SegmentOptions segment;
  GroupOptions group;
  ClassifyOptions classify;
  double nodule_threshold{0.5};
};

struct IntendedInput {
  Xyz least_spacing, most_spacing;
  std::int64_t least_slices{}, most_slices{};
  double least_hu{}, most_hu{};
};

// How far an artifact may be from eager PyTorch.
struct Limits {
  double max_abs{};  // of an output, in units of the larger of 1 and its largest value
  double nmse{};     // normalised mean-square error
};

struct Manifest {
  std::string name, task, torch_version;
  std::map<std::string, ModelEntry> models;
  PipelineSettings pipeline;
  IntendedInput intended;
  std::map<std::string, BundleFile> golden_networks;  // by model
  // Absent only while luna-export is still writing the bundle.
  std::optional<BundleFile> golden_scan, golden_result;
  Limits limits;
};

// Throws Errc::bundle, naming `path` and the key.
[[nodiscard]] Manifest parse_manifest(std::string_view text, const std::filesystem::path& path);

}  // namespace lunart
