// lunart.result/2: the one spelling of a result for machines. Python parses this text.
#include <array>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "lunart/report.hpp"
#include "report/json_parts.hpp"
#include "report/listed.hpp"

namespace lunart {
namespace {

Json array_of(const Xyz& v) {
  return {v.x, v.y, v.z};
}
Json array_of(const Irc& v) {
  return {v.index, v.row, v.col};
}
Json array_of(const IrcIndex& v) {
  return {v.index, v.row, v.col};
}

std::string hex_of(std::uint32_t crc) {
  std::array<char, 9> text{};
  std::snprintf(text.data(), text.size(), "%08x", crc);
  return text.data();
}

std::string text_of(const std::vector<MaskRun>& runs) {
  std::string text;
  for (const MaskRun& run : runs) {
    if (!text.empty()) text += ' ';
    text += std::to_string(run.offset) + ":" + std::to_string(run.length);
  }
  return text;
}

Json json_of(const Finding& f) {
  return {{"label", f.label},
          {"center_xyz_mm", array_of(f.center_xyz_mm)},
          {"center_irc", array_of(f.center_irc)},
          {"probability", f.probability},
          {"malignancy", f.malignancy ? Json(*f.malignancy) : Json(nullptr)},
          {"diameter_mm", f.diameter_mm},
          {"volume_mm3", f.volume_mm3},
          {"voxels", f.voxels},
          {"mask_runs", text_of(f.mask_runs)}};
}

// Six digits: what is left of a float's beyond them differs from one engine to the next.
Json json_of(const SliceProbabilities& s) {
  constexpr double kSteps = 1e6;
  Json list = Json::array();
  for (const double p : s.probability) list.push_back(std::round(p * kSteps) / kSteps);
  return {{"axis", s.axis}, {"probability", list}};
}

Json list_of(const std::vector<Finding>& findings) {
  Json list = Json::array();
  for (const Finding& finding : findings) list.push_back(json_of(finding));
  return list;
}

}  // namespace

std::string to_json(const Result& r, const ReportOptions& options) {
  const Timings& t = r.timings_s;
  Json json{{"schema", kResultSchema},
            {"scan",
             {{"path", text_or_null(r.path)},
              {"series_uid", text_or_null(r.series_uid)},
              {"shape_irc", array_of(r.geometry.shape)},
              {"spacing_mm", array_of(r.geometry.spacing)},
              {"origin_mm", array_of(r.geometry.origin)},
              {"direction", r.geometry.direction},
              {"hu_crc32", hex_of(r.hu_crc32)}}},
            {"bundle", {{"name", r.bundle_name}, {"sha256", r.bundle_sha256}}},
            {"engine", json_of(r.engine)},
            {"threshold", r.threshold},
            {"nodules", list_of(r.nodules)},
            {"candidate_count", r.candidate_count}};
  if (options.all_candidates) json["candidates"] = list_of(listed(r, options));
  json["slices"] = json_of(r.slices);
  json["timings_s"] = {{"load", t.load},
                       {"read", t.read},
                       {"region", t.region},
                       {"segment", t.segment},
                       {"group", t.group},
                       {"classify", t.classify},
                       {"malignancy", t.malignancy},
                       {"total", t.total}};
  json["peak_rss_mb"] = r.peak_rss_mb;
  json["warnings"] = json_of(r.warnings);
  // A path may hold bytes that are no UTF-8.
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace lunart
