// manifest.json as a struct (docs/bundle.md). Parsing checks types and ranges; Bundle checks files.
#pragma once

#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "image/preprocess.hpp"
#include "lunart/geometry.hpp"
#include "lunart/runner.hpp"
#include "lunart/task.hpp"
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

// What an artifact of native code was compiled for; it runs on nothing else.
struct NativeCode {
  std::string instruction_set;  // as engines/instruction_set.hpp reads it
  std::string torch;            // version of libtorch, without build
};

struct ArtifactEntry : BundleFile {
  std::string name, format, precision;
  std::optional<NativeCode> native_code{};
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

struct ImageSettings {
  std::vector<std::string> classes;  // in the order of the columns of `probability`
  PreprocessOptions preprocess;
  std::optional<std::int64_t> rows{}, cols{};  // of the network's input; none: any
  int multiple_of{1};
  std::size_t most_a_batch{1};
  std::size_t probability_output{};  // which of the outputs
};

struct IntendedInput {
  Xyz least_spacing, most_spacing;
  std::int64_t least_slices{}, most_slices{};
  double least_hu{}, most_hu{};
};

// How far from eager PyTorch an artifact may be in one precision, in its outputs and in what the
// pipeline finds with it.
struct Limits {
  double max_abs{};          // of an output, in units of the larger of 1 and its largest value
  double nmse{};             // normalised mean-square error
  double probability{};      // of a finding; a nodule this near the threshold may fall either way
  double centre_voxels{};    // on each axis
  double diameter_share{};   // of a finding's diameter
  double least_dice{};       // of the mask
  double least_voxels{};     // smaller nodules may come and go
  double unmatched_share{};  // of all candidates but the smallest
};

struct LimitsOfPrecision {
  double least_power{};       // the least mean square that nmse is relative to
  double candidate_voxels{};  // smaller candidates come and go with single voxels
  Limits f32, bf16;

  [[nodiscard]] const Limits& of(Precision precision) const {
    return precision == Precision::bf16 ? bf16 : f32;
  }
};

struct Manifest {
  std::string name, torch_version;
  BundleTask task{};
  std::map<std::string, ModelEntry> models;
  // Of task lung-nodules only.
  PipelineSettings pipeline;
  IntendedInput intended;
  // Of task image-classification only.
  ImageSettings images;
  std::map<std::string, BundleFile> golden_networks;  // by model
  // Absent only while luna-export is still writing the bundle.
  std::optional<BundleFile> golden_input, golden_result;  // a scan or an image
  LimitsOfPrecision limits;
  // What the export found of bf16: the same nodules or classes as in f32, others, or nothing (not
  // tried).
  std::optional<bool> same_in_bf16;
};

// Throws Errc::bundle, naming `path` and the key.
[[nodiscard]] Manifest parse_manifest(std::string_view text, const std::filesystem::path& path);

}  // namespace lunart
