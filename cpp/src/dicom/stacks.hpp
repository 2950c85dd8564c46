// The series of a folder, and within each the stacks of slices that can be one volume.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "dicom/series.hpp"
#include "dicom/slice.hpp"

namespace lunart::dicom {

// Closer than this along the stack two slices are at one place.
inline constexpr double kSamePlaceMm = 0.01;

struct Stack {
  Series series;
  std::vector<Slice> slices;          // sorted along the normal, then by instance number
  std::vector<std::string> faults;    // slices of this series that are damaged
  std::vector<std::string> left_out;  // "2 localizers", for a warning
};

[[nodiscard]] std::vector<Stack> stacks_of(std::span<const Instance> instances);

// Distances from the first slice along its normal.
[[nodiscard]] std::vector<double> places_of(const std::vector<Slice>& slices);
// The usual step between places that differ; 0 without any.
[[nodiscard]] double usual_step(const std::vector<double>& places);

}  // namespace lunart::dicom
