// One instance's text as numbers: what grouping and ordering need. Nothing is refused here; what
// could not be understood is kept as the reason why the slice cannot be used.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dicom/series.hpp"

namespace lunart::dicom {

using Vec3 = std::array<double, 3>;

[[nodiscard]] double dot(const Vec3& a, const Vec3& b);
[[nodiscard]] Vec3 minus(const Vec3& a, const Vec3& b);
[[nodiscard]] double length(const Vec3& a);

namespace tag {
inline constexpr Tag kTransferSyntax = 0x00020010, kImageType = 0x00080008, kSopClass = 0x00080016,
                     kSopInstance = 0x00080018, kModality = 0x00080060,
                     kSeriesDescription = 0x0008103E, kSliceThickness = 0x00180050,
                     kKvp = 0x00180060, kSpacingBetweenSlices = 0x00180088, kTilt = 0x00181120,
                     kKernel = 0x00181210, kStudy = 0x0020000D, kSeries = 0x0020000E,
                     kAcquisition = 0x00200012, kInstanceNumber = 0x00200013,
                     kPosition = 0x00200032, kOrientation = 0x00200037,
                     kFrameOfReference = 0x00200052, kTemporalPosition = 0x00200100,
                     kCardiacPhase = 0x00209241, kSamples = 0x00280002, kPhotometric = 0x00280004,
                     kFrames = 0x00280008, kRows = 0x00280010, kCols = 0x00280011,
                     kPixelSpacing = 0x00280030, kBitsAllocated = 0x00280100,
                     kIntercept = 0x00281052, kSlope = 0x00281053, kRescaleType = 0x00281054,
                     kModalityLut = 0x00283000;
}  // namespace tag

struct Slice {
  std::size_t instance{};
  const Instance* source{};
  std::int64_t rows{}, cols{};
  Vec3 position{};                          // mm, of the first voxel
  Vec3 along_row{}, along_col{}, normal{};  // unit vectors: of rising column, rising row, both
  double row_step{}, col_step{};            // mm between rows, between columns
  double slope{1}, intercept{};
  bool has_rescale{};
  std::int64_t number{};  // InstanceNumber
  std::string left_out;   // no slice of a volume: a localizer, a colour picture, ...
  std::string fault;      // a slice that is damaged: the series is refused
};

// "" where absent.
[[nodiscard]] std::string text_in(const Instance& instance, Tag tag);
// For messages: the file, and the frame where there are several.
[[nodiscard]] std::string name_of(const Instance& instance);
[[nodiscard]] Slice slice_of(const Instance& instance, std::size_t number);
// Millimetres of a single slice's thickness, or the step that the scanner planned.
[[nodiscard]] std::optional<double> planned_step(const Instance& instance);
[[nodiscard]] std::optional<double> number_in(const Instance& instance, Tag tag);

}  // namespace lunart::dicom
