#include "dicom/slice.hpp"

#include <algorithm>
#include <cmath>
#include <span>
#include <string_view>

#include "io/text.hpp"

namespace lunart::dicom {
namespace {

constexpr std::array kWanted{tag::kTransferSyntax,
                             tag::kImageType,
                             tag::kSopClass,
                             tag::kSopInstance,
                             tag::kModality,
                             tag::kSeriesDescription,
                             tag::kSliceThickness,
                             tag::kKvp,
                             tag::kSpacingBetweenSlices,
                             tag::kTilt,
                             tag::kKernel,
                             tag::kStudy,
                             tag::kSeries,
                             tag::kAcquisition,
                             tag::kInstanceNumber,
                             tag::kPosition,
                             tag::kOrientation,
                             tag::kFrameOfReference,
                             tag::kTemporalPosition,
                             tag::kCardiacPhase,
                             tag::kSamples,
                             tag::kPhotometric,
                             tag::kFrames,
                             tag::kRows,
                             tag::kCols,
                             tag::kPixelSpacing,
                             tag::kBitsAllocated,
                             tag::kIntercept,
                             tag::kSlope,
                             tag::kRescaleType,
                             tag::kModalityLut};

constexpr double kUnit = 1e-3;     // how far a direction may be from length 1 and a right angle
constexpr double kFarthest = 1e5;  // mm: no scanner is so long
constexpr std::int64_t kMostPixels = 65535;  // an axis: US

std::vector<std::string_view> values_of(std::string_view text) {
  std::vector<std::string_view> values;
  while (true) {
    const std::size_t end = text.find('\\');
    values.push_back(trimmed(text.substr(0, end)));
    if (end == std::string_view::npos) return values;
    text.remove_prefix(end + 1);
  }
}

std::optional<double> finite_of(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  const std::optional<double> value = number_of(text);
  return value && std::isfinite(*value) ? value : std::nullopt;
}

template <std::size_t N>
std::optional<std::array<double, N>> numbers_in(const Instance& instance, Tag tag) {
  const std::string text = text_in(instance, tag);
  const std::vector<std::string_view> words = values_of(text);
  std::array<double, N> values{};
  if (words.size() != N) return std::nullopt;
  for (std::size_t i = 0; i < N; ++i) {
    const std::optional<double> value = finite_of(words[i]);
    if (!value) return std::nullopt;
    values[i] = *value;
  }
  return values;
}

std::string faulty(const Instance& instance, Tag tag, std::string_view name,
                   std::string_view expected) {
  return std::string(name) + " is " + in_quotes(text_in(instance, tag)) + ", not " +
         std::string(expected);
}

bool is_localizer(const Instance& instance) {
  const std::string text = text_in(instance, tag::kImageType);
  for (const std::string_view value : values_of(text)) {
    if (value == "LOCALIZER" || value == "SCOUT" || value == "TOPOGRAM") return true;
  }
  return false;
}

// Secondary captures: dose sheets and pictures of the screen, which scanners file under CT.
bool is_secondary_capture(const Instance& instance) {
  return text_in(instance, tag::kSopClass).starts_with("1.2.840.10008.5.1.4.1.1.7");
}

// Why this is no slice of a CT volume, or "".
std::string reason_to_leave_out(const Instance& instance) {
  const std::string modality = text_in(instance, tag::kModality);
  if (modality.empty()) return "no modality: not CT";
  if (modality != "CT") return "modality " + in_quotes(modality) + ", not CT";
  if (is_localizer(instance)) return "localizer";
  if (is_secondary_capture(instance)) return "secondary capture, no slice";
  if (text_in(instance, tag::kRows).empty()) return "no picture";
  const std::string samples = text_in(instance, tag::kSamples);
  const std::string photometric = text_in(instance, tag::kPhotometric);
  const bool is_grey = photometric.empty() || photometric.starts_with("MONOCHROME");
  if (!is_grey || (!samples.empty() && samples != "1")) return "colour picture";
  const std::string frames = text_in(instance, tag::kFrames);
  if (!frames.empty() && frames != "1") {
    return in_quotes(frames) + " frames in one file, without a place for each";
  }
  if (text_in(instance, tag::kPosition).empty()) {
    return "no position (ImagePositionPatient): its place in the patient is unknown";
  }
  return {};
}

std::string set_size(const Instance& instance, Slice& slice) {
  const auto axis = [&](Tag tag) {
    const auto n = integer_of(trimmed(text_in(instance, tag))).value_or(0);
    return n >= 1 && n <= kMostPixels ? n : 0;
  };
  slice.rows = axis(tag::kRows);
  slice.cols = axis(tag::kCols);
  if (slice.rows == 0) return faulty(instance, tag::kRows, "Rows", "a number of pixels");
  if (slice.cols == 0) return faulty(instance, tag::kCols, "Columns", "a number of pixels");
  return {};
}

std::string set_place(const Instance& instance, Slice& slice) {
  const auto position = numbers_in<3>(instance, tag::kPosition);
  if (!position ||
      std::ranges::any_of(*position, [](double mm) { return std::abs(mm) > kFarthest; })) {
    return faulty(instance, tag::kPosition, "ImagePositionPatient", "three millimetres");
  }
  slice.position = *position;
  const auto o = numbers_in<6>(instance, tag::kOrientation);
  if (!o) return faulty(instance, tag::kOrientation, "ImageOrientationPatient", "six numbers");
  slice.along_row = {(*o)[0], (*o)[1], (*o)[2]};
  slice.along_col = {(*o)[3], (*o)[4], (*o)[5]};
  const Vec3& r = slice.along_row;
  const Vec3& c = slice.along_col;
  if (std::abs(length(r) - 1) > kUnit || std::abs(length(c) - 1) > kUnit ||
      std::abs(dot(r, c)) > kUnit) {
    return faulty(instance, tag::kOrientation, "ImageOrientationPatient",
                  "two unit vectors at a right angle");
  }
  slice.normal = {r[1] * c[2] - r[2] * c[1], r[2] * c[0] - r[0] * c[2], r[0] * c[1] - r[1] * c[0]};
  const auto spacing = numbers_in<2>(instance, tag::kPixelSpacing);
  if (!spacing || (*spacing)[0] <= 0 || (*spacing)[1] <= 0) {
    return faulty(instance, tag::kPixelSpacing, "PixelSpacing", "two positive millimetres");
  }
  slice.row_step = (*spacing)[0];
  slice.col_step = (*spacing)[1];
  return {};
}

std::string set_rescale(const Instance& instance, Slice& slice) {
  if (!text_in(instance, tag::kModalityLut).empty()) {
    return "a modality table (ModalityLUTSequence) instead of a slope, which lunart does not read";
  }
  const std::string type = lower(text_in(instance, tag::kRescaleType));
  if (!type.empty() && type != "hu" && type != "us") {  // US: unspecified
    return "RescaleType is " + in_quotes(text_in(instance, tag::kRescaleType)) +
           ": its values are no Hounsfield units";
  }
  const bool has_slope = !text_in(instance, tag::kSlope).empty();
  const bool has_intercept = !text_in(instance, tag::kIntercept).empty();
  const auto slope = number_in(instance, tag::kSlope);
  const auto intercept = number_in(instance, tag::kIntercept);
  if (has_slope && (!slope || *slope == 0)) {
    return faulty(instance, tag::kSlope, "RescaleSlope", "a number other than 0");
  }
  if (has_intercept && !intercept) {
    return faulty(instance, tag::kIntercept, "RescaleIntercept", "a number");
  }
  slice.slope = slope.value_or(1);
  slice.intercept = intercept.value_or(0);
  slice.has_rescale = has_slope || has_intercept;
  return {};
}

}  // namespace

double dot(const Vec3& a, const Vec3& b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}
Vec3 minus(const Vec3& a, const Vec3& b) {
  return {a[0] - b[0], a[1] - b[1], a[2] - b[2]};
}
double length(const Vec3& a) {
  return std::sqrt(dot(a, a));
}

std::span<const Tag> wanted_tags() {
  return kWanted;
}

std::string text_in(const Instance& instance, Tag tag) {
  const auto found = instance.tags.find(tag);
  return found == instance.tags.end() ? std::string{} : std::string(trimmed(found->second));
}

std::string name_of(const Instance& instance) {
  std::string name = printable(instance.file);
  if (instance.frame > 0) name += ", frame " + std::to_string(instance.frame + 1);
  return name;
}

std::optional<double> number_in(const Instance& instance, Tag tag) {
  const auto value = numbers_in<1>(instance, tag);
  return value ? std::optional((*value)[0]) : std::nullopt;
}

std::optional<double> planned_step(const Instance& instance) {
  for (const Tag tag : {tag::kSpacingBetweenSlices, tag::kSliceThickness}) {
    const auto mm = number_in(instance, tag);
    if (mm && *mm > 0) return mm;
  }
  return std::nullopt;
}

Slice slice_of(const Instance& instance, std::size_t number) {
  Slice slice;
  slice.instance = number;
  slice.source = &instance;
  slice.left_out = reason_to_leave_out(instance);
  if (!slice.left_out.empty()) return slice;
  slice.number = integer_of(trimmed(text_in(instance, tag::kInstanceNumber))).value_or(0);
  for (const auto set : {set_size, set_place, set_rescale}) {
    slice.fault = set(instance, slice);
    if (!slice.fault.empty()) return slice;
  }
  return slice;
}

}  // namespace lunart::dicom
