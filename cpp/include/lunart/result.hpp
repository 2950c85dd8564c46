// What a run finds. Plain data in the frame of the scan *as stored*: center_irc indexes the
// caller's array, millimetres are LPS. Writers are in lunart/report.hpp.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lunart/export.hpp"
#include "lunart/geometry.hpp"
#include "lunart/volume.hpp"
#include "lunart/warning.hpp"

namespace lunart {

// Voxels of one row, counted in the flattened scan as stored: (index, row, col) in C order.
struct MaskRun {
  std::uint64_t offset{}, length{};
  friend bool operator==(const MaskRun&, const MaskRun&) = default;
};

// A candidate, and when its probability exceeds the threshold a nodule.
struct Finding {
  std::uint32_t label{};  // 1... in raster order of the candidates; its value in the mask
  Xyz center_xyz_mm;
  Irc center_irc;  // centre of mass, weighted by clamped HU + 1001
  double probability{};
  std::optional<double> malignancy;  // only nodules are rated, and only with such a network
  double diameter_mm{};              // of the sphere with that volume
  double volume_mm3{};               // grown back inside the thresholded mask
  std::uint64_t voxels{};            // of the eroded component, as the book counts
  std::vector<MaskRun> mask_runs;    // its voxels in the label mask, by rising offset
};

// Where along the scan the segmentation answered how high.
struct SliceProbabilities {
  int axis{};  // of the stored scan, along which the networks took slices: 0 index, 1 row, 2 col
  std::vector<double> probability;  // highest in the lung region of each slice; 0 without region
};

struct Timings {  // seconds; `total` runs from opening the scan to the finished result
  double load{}, read{}, region{}, segment{}, group{}, classify{}, malignancy{}, total{};
};

struct EngineInfo {
  std::string name;     // the engine, or the artifact that was asked for by name
  std::string version;  // of the library that runs the networks
  std::string device{"cpu"};
  std::string precision{"f32"};
  int threads{};
};

// A label for every voxel above the threshold, kept as runs so that memory follows the mask and
// not the scan; and the lung region. Axes are those the networks saw.
class Masks;

struct Result {
  std::string path, series_uid;  // empty: from memory, unknown
  Geometry geometry;
  std::uint32_t hu_crc32{};  // of the voxels as stored, see docs/result.md
  std::string bundle_name, bundle_sha256;
  EngineInfo engine;
  double threshold{};
  std::vector<Finding> nodules;  // by falling probability
  // All, in raster order; nodules among them. Empty in a result that was read from a file that does
  // not list them.
  std::vector<Finding> candidates;
  std::size_t candidate_count{};
  SliceProbabilities slices;
  Timings timings_s;
  double peak_rss_mb{};
  std::vector<Warning> warnings;
  std::shared_ptr<const Masks> masks;  // null in a result that was read from a file
};

// One value a voxel in (index, row, col) order of the scan as stored.
// The labels of `findings` (everything else 0); values are Finding::label.
[[nodiscard]] LUNART_API std::vector<std::uint32_t> label_mask(
    const Result& result, const std::vector<Finding>& findings);
// 1 where the probability exceeded the segmentation threshold, before erosion. Like region_mask it
// throws Errc::usage for a result that was read from a file, which does not hold it.
[[nodiscard]] LUNART_API std::vector<std::uint8_t> threshold_mask(const Result& result);
// 1 inside the lung region; all 1 when the region was off.
[[nodiscard]] LUNART_API std::vector<std::uint8_t> region_mask(const Result& result);

// Throws Errc::usage naming everything that differs when the result is of another scan: shape,
// spacing, origin, direction (beyond what file formats round), series UID (when both are known) or
// the voxels' checksum.
LUNART_API void require_same_scan(const Result& result, const Volume& scan);

}  // namespace lunart
