// From instances to a scan: the chosen series' slices in order, its geometry as SimpleITK gives it,
// and what is wrong with it.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "dicom/series.hpp"
#include "lunart/geometry.hpp"
#include "lunart/read_options.hpp"
#include "lunart/warning.hpp"

namespace lunart::dicom {

using lunart::OnDuplicate;
using lunart::OnGap;
using lunart::OnTilt;

struct Request {
  std::string source;  // the folder, archive or file, for messages and Volume::path
  std::string series;  // Series::id, or empty when there is only one
  OnGap on_gap{OnGap::refuse};
  OnTilt on_tilt{OnTilt::refuse};
  OnDuplicate on_duplicate{OnDuplicate::refuse};
  // DICOM files that the provider could not read, a sentence a file: they may be slices of the
  // series, so it is refused until they are mended or taken away.
  std::vector<std::string> damaged{};
};

struct StoredSlice {
  std::size_t instance{};        // index into what make_plan was given
  double slope{1}, intercept{};  // HU = slope * stored + intercept, in double
  std::string name;              // file, and frame, for messages
};

struct PlannedSlice : StoredSlice {
  std::vector<StoredSlice> twins;   // at the same place: Assembler::compare says whether they agree
  std::string place;                // "z = -12.5 mm", for messages
  double shift_row{}, shift_col{};  // where its first voxel lies in the volume, in voxels
};

// A slice of the volume: `lower` alone, or between two of Plan::slices.
struct VolumeSlice {
  std::size_t lower{}, upper{};
  double weight{};  // of `upper`, 0 to 1
};

struct Plan {
  Geometry geometry;  // of the volume: as SimpleITK's ImageSeriesReader where nothing is mended
  std::string source, series_uid;
  std::vector<PlannedSlice> slices;  // to be decoded, in the volume's order
  std::vector<VolumeSlice> volume;   // one a slice of the volume
  std::int64_t rows{}, cols{};       // of the stored pixels; the volume's may be more
  OnDuplicate on_duplicate{};
  std::vector<Warning> warnings;

  // Whether the volume is not simply the slices.
  [[nodiscard]] bool is_resampled() const;
};

// Throws Errc::scan: no CT series, several and none chosen (with a list), no position, a gap, ...;
// Errc::usage for a series that is not there.
[[nodiscard]] Plan make_plan(std::span<const Instance> instances, const Request& request);

}  // namespace lunart::dicom
