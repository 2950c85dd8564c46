// Task lung-nodules: the pipeline's settings and the scans that it was tested on.
#include <array>

#include "bundle/manifest_parts.hpp"

namespace lunart {
namespace {

constexpr float kMostHu = 1e6;

Xyz xyz_of(const Json& at, const char* key) {
  if (!member_of(at, key).is_array() || member_of(at, key).size() != 3) {
    refuse(std::string(key) + " is " + quoted(member_of(at, key)) + "; expected three numbers");
  }
  const auto v = member_of(at, key).get<std::array<double, 3>>();
  return {v[0], v[1], v[2]};
}

}  // namespace

PipelineSettings pipeline_of(const Json& at, const Json& segmentation) {
  if (!member_of(at, "resample_mm").is_null()) {
    refuse("pipeline.resample_mm is " + quoted(member_of(at, "resample_mm")) +
           "; this version of lunart runs on the scan's own grid only (null)");
  }
  if (member_of(at, "connectivity") != 6) {
    refuse("pipeline.connectivity is " + quoted(member_of(at, "connectivity")) +
           "; only 6 is supported");
  }
  const auto orientation = value_in<std::string>(at, "orientation");
  if (orientation != "LPS" && orientation != "stored") {
    refuse("pipeline.orientation is \"" + orientation + "\"; expected LPS or stored");
  }
  PipelineSettings p;
  p.orient_to_lps = orientation == "LPS";

  const auto window = value_in<std::array<float, 2>>(at, "hu_window");
  if (!(window[0] < window[1] && window[0] >= -kMostHu && window[1] <= kMostHu)) {
    refuse("pipeline.hu_window is no range of HU: " + quoted(member_of(at, "hu_window")));
  }
  p.segment.window = p.group.window = p.classify.window = {window[0], window[1]};

  const Json& region = object_in(at, "region");
  p.region = {.air_hu = number_in(region, "air_hu", -2000, 2000),
              .outside_hu = number_in(region, "outside_hu", -2000, 2000),
              .grid_mm = number_in(region, "grid_mm", 0.1, 20),
              .closing_mm = number_in(region, "closing_mm", 0, 50),
              .margin_mm = number_in(region, "margin_mm", 0, 10),
              .min_lung_ml = number_in(region, "min_lung_ml", 0, 1000),
              .max_hole_mm = number_in(region, "max_hole_mm", 0, 500)};

  p.segment.context_slices = integer_in(at, "context_slices", 0, 64);
  p.segment.threshold = number_in(at, "segmentation_threshold", 0, 1);
  p.segment.boxes.multiple_of = integer_in(segmentation, "multiple_of", 1, 64);
  p.segment.boxes.halo = integer_in(at, "halo", 0, 512);
  p.segment.erosion = p.group.erosion = integer_in(at, "erosion", 0, 16);
  p.group.min_component_mm3 = number_in(at, "min_component_mm3", 0, 1e6);
  const auto crop = value_in<std::array<std::int64_t, 3>>(at, "crop_irc");
  for (const std::int64_t n : crop) {
    if (n < 1 || n > 128) refuse("pipeline.crop_irc is " + quoted(member_of(at, "crop_irc")));
  }
  p.classify.crop = {crop[0], crop[1], crop[2]};
  const auto border = value_in<std::string>(at, "crop_border");
  if (border != "shift" && border != "pad") {
    refuse("pipeline.crop_border is \"" + border + "\"; expected shift or pad");
  }
  p.classify.border = border == "pad" ? CropBorder::pad : CropBorder::shift;
  if (!member_of(at, "crop_spacing_mm").is_null()) {
    p.classify.spacing_mm = number_in(at, "crop_spacing_mm", 0.1, 10);
    if (p.classify.border != CropBorder::pad) {
      refuse("pipeline.crop_border is \"shift\" and crop_spacing_mm is not null; expected pad");
    }
  }
  p.nodule_threshold = number_in(at, "nodule_threshold", 0, 1);
  return p;
}

IntendedInput intended_of(const Json& at) {
  const Json& spacing = member_of(at, "spacing_xyz_mm");
  const Json& slices = member_of(at, "slices");
  const Json& hu = member_of(at, "hu");
  return {.least_spacing = xyz_of(spacing, "min"),
          .most_spacing = xyz_of(spacing, "max"),
          .least_slices = integer_in(slices, "min", 0, 1'000'000),
          .most_slices = integer_in(slices, "max", 0, 1'000'000),
          .least_hu = number_in(hu, "min", -1e6, 1e6),
          .most_hu = number_in(hu, "max", -1e6, 1e6)};
}

}  // namespace lunart
