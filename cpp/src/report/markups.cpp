// Markups of 3D Slicer, as its schema 1.0.3 has them
// (https://slicer.readthedocs.io/en/latest/developer_guide/modules/markups.html): a list of points,
// one a finding.
#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "lunart/report.hpp"
#include "report/json_parts.hpp"
#include "report/listed.hpp"

namespace lunart {
namespace {

template <class... Values>
std::string formatted(const char* format, Values... values) {
  std::array<char, 160> text{};
  std::snprintf(text.data(), text.size(), format, values...);
  return text.data();
}

// Beside the point, in every view: short.
std::string label_of(const Finding& f) {
  return formatted("%u: %.1f mm, p %.2f", f.label, f.diameter_mm, f.probability);
}

std::string description_of(const Finding& f) {
  std::string text = formatted("nodule probability %.3f", f.probability);
  if (f.malignancy) text += formatted(", malignancy probability %.3f", *f.malignancy);
  return text + formatted(", diameter %.1f mm, volume %.0f mm3", f.diameter_mm, f.volume_mm3);
}

Json point_of(const Finding& f) {
  return {{"id", std::to_string(f.label)},
          {"label", label_of(f)},
          {"description", description_of(f)},
          {"associatedNodeID", ""},
          {"position", {f.center_xyz_mm.x, f.center_xyz_mm.y, f.center_xyz_mm.z}},
          {"orientation", {-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0}},
          {"selected", true},
          {"locked", true},
          {"visibility", true},
          {"positionStatus", "defined"}};
}

}  // namespace

std::string to_markups(const Result& r, const ReportOptions& options) {
  const std::vector<Finding>& findings = listed(r, options);
  Json points = Json::array();
  std::uint32_t last = 0;
  for (const Finding& f : findings) {
    points.push_back(point_of(f));
    last = std::max(last, f.label);
  }
  const Json markup{{"type", "Fiducial"},
                    {"coordinateSystem", "LPS"},
                    {"coordinateUnits", "mm"},
                    {"locked", true},
                    {"fixedNumberOfControlPoints", false},
                    {"labelFormat", "%N-%d"},
                    {"lastUsedControlPointNumber", last},
                    {"controlPoints", points},
                    {"measurements", Json::array()},
                    {"display", {{"visibility", true}, {"pointLabelsVisibility", true}}}};
  const Json json{
      {"@schema",
       "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/"
       "Resources/Schema/markups-schema-v1.0.3.json#"},
      {"markups", Json::array({markup})}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace lunart
