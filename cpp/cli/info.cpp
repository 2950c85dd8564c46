#include "cli/info.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "bundle/bundle.hpp"
#include "dicom/series.hpp"
#include "io/series_list.hpp"
#include "lunart/image.hpp"

namespace lunart::cli {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const Xyz& v) {
  return {v.x, v.y, v.z};
}

Json series_json(const std::vector<dicom::Series>& series) {
  Json list = Json::array();
  for (const dicom::Series& s : series) {
    list.push_back({{"id", s.id},
                    {"series_uid", s.series_uid},
                    {"study_uid", s.study_uid},
                    {"modality", s.modality},
                    {"description", s.description},
                    {"detail", s.detail},
                    {"slices", s.slices},
                    {"rows", s.rows},
                    {"cols", s.cols},
                    {"spacing_mm", json_of(s.spacing)},
                    {"unusable", s.unusable.empty() ? Json(nullptr) : Json(s.unusable)}});
  }
  return list;
}

// A DICOM folder's series, and of the one that would be read the geometry.
Json scan_json(const std::filesystem::path& path, const ReadOptions& options) {
  const std::vector<dicom::Series> series = list_series(path);
  Json json{{"path", path.string()}};
  const auto usable =
      std::ranges::count_if(series, [](const auto& s) { return s.unusable.empty(); });
  if (series.empty() || usable == 1 || !options.series.empty()) {
    const ScanHeader h = read_scan_header(path, options);
    const Geometry& g = h.geometry;
    json.update({{"series_uid", h.series_uid.empty() ? Json(nullptr) : Json(h.series_uid)},
                 {"shape_irc", {g.shape.index, g.shape.row, g.shape.col}},
                 {"spacing_mm", json_of(g.spacing)},
                 {"origin_mm", json_of(g.origin)},
                 {"direction", g.direction},
                 {"element_type", h.element_type},
                 {"compressed", h.compressed}});
  }
  if (!series.empty()) json["series"] = series_json(series);
  return json;
}

Json picture_json(const std::filesystem::path& path) {
  const ImageHeader h = read_image_header(path);
  return {{"path", path.string()}, {"rows", h.rows}, {"cols", h.cols}, {"format", h.format}};
}

std::string_view name_of(BundleTask task) {
  return task == BundleTask::image_classification ? "image-classification" : "lung-nodules";
}

Json bundle_json(const std::filesystem::path& folder) {
  const Bundle bundle = open_bundle(folder);
  Json models = Json::object();
  for (const auto& [name, model] : bundle.manifest.models) {
    Json artifacts = Json::array();
    for (const ArtifactEntry& a : model.artifacts) {
      artifacts.push_back({{"name", a.name}, {"bytes", a.bytes}, {"precision", a.precision}});
    }
    models[name] = {{"artifacts", artifacts}};
  }
  Json json{{"path", folder.string()},
            {"name", bundle.manifest.name},
            {"task", name_of(bundle.manifest.task)},
            {"sha256", bundle.sha256},
            {"torch", bundle.manifest.torch_version},
            {"models", models}};
  if (!bundle.manifest.images.classes.empty()) json["classes"] = bundle.manifest.images.classes;
  return json;
}

// "key: value" lines, one level of indentation for what lies deeper.
void append_text(const Json& json, const std::string& indent, std::string& out) {
  for (const auto& [key, value] : json.items()) {
    if (key == "series") {
      for (const Json& series : value) {
        out += indent + key + ":\n";
        append_text(series, indent + "  ", out);
      }
    } else if (value.is_object()) {
      out += indent + key + ":\n";
      append_text(value, indent + "  ", out);
    } else {
      out += indent + key + ": " + (value.is_string() ? value.get<std::string>() : value.dump()) +
             "\n";
    }
  }
}

}  // namespace

std::string describe(const Options& options, bool as_json) {
  Json scans = Json::array();
  Json pictures = Json::array();
  for (const auto& path : options.scans) {
    if (is_picture(path)) {
      pictures.push_back(picture_json(path));
    } else {
      scans.push_back(scan_json(path, options.read));
    }
  }
  Json all{{"schema", "lunart.info/1"}, {"scans", scans}};
  if (!pictures.empty()) all["pictures"] = pictures;
  // A scan can be looked at without any bundle.
  std::error_code error;
  if (options.scans.empty() || std::filesystem::exists(options.runner.bundle, error)) {
    all["bundle"] = bundle_json(options.runner.bundle);
  }
  if (as_json) return all.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  std::string text;
  for (const Json* const list : {&scans, &pictures}) {
    for (const Json& input : *list) {
      append_text(input, "", text);
      text += '\n';
    }
  }
  if (all.contains("bundle")) append_text({{"bundle", all["bundle"]}}, "", text);
  return text;
}

std::string text_of(const std::vector<EngineStatus>& engines) {
  std::string out;
  for (const EngineStatus& e : engines) {
    std::string precisions;
    for (const Precision p : e.precisions) {
      precisions += (precisions.empty() ? "" : ", ") + std::string(to_string(p));
    }
    out += std::string(e.supported ? "[✓] " : "[-] ") + e.name +
           (e.supported ? " " + e.version + ", " + precisions : ": " + e.why_not) + "\n";
  }
  return out;
}

std::string json_of(const std::vector<EngineStatus>& engines) {
  Json list = Json::array();
  for (const EngineStatus& e : engines) {
    Json precisions = Json::array();
    for (const Precision p : e.precisions) precisions.push_back(to_string(p));
    list.push_back({{"name", e.name},
                    {"built", e.built},
                    {"supported", e.supported},
                    {"version", e.supported ? Json(e.version) : Json(nullptr)},
                    {"artifacts", e.artifacts},
                    {"precisions", precisions},
                    {"why_not", e.supported ? Json(nullptr) : Json(e.why_not)}});
  }
  return Json{{"schema", "lunart.engines/1"}, {"engines", list}}.dump(
             2, ' ', false, Json::error_handler_t::replace) +
         "\n";
}

std::string text_of(const std::vector<Check>& checks) {
  std::string out;
  std::size_t failed = 0;
  std::size_t skipped = 0;
  for (const Check& c : checks) {
    const std::string by = c.engine == c.artifact ? "" : " (" + c.engine + ")";
    const std::string subject = c.model + "/" + c.artifact + by + " " + c.check;
    if (c.skipped) {
      ++skipped;
      out += "[-] " + subject + ": " + c.detail + "\n";
      continue;
    }
    failed += c.passed ? 0 : 1;
    std::array<char, 96> numbers{};
    std::snprintf(numbers.data(), numbers.size(), "%.3g (limit %.3g)", c.value, c.limit);
    out += std::string(c.passed ? "[✓] " : "[✗] ") + subject + ": " +
           (std::isinf(c.value) ? std::string("failed") : numbers.data()) +
           (c.detail.empty() ? "" : ", " + c.detail) + "\n";
  }
  const std::size_t run = checks.size() - skipped;
  return out +
         (failed == 0 ? "all " + std::to_string(run) + " checks passed"
                      : std::to_string(failed) + " of " + std::to_string(run) + " checks failed") +
         (skipped == 0 ? "" : ", " + std::to_string(skipped) + " artifact not checked") + "\n";
}

std::string json_of(const std::vector<Check>& checks) {
  Json list = Json::array();
  bool passed = true;
  for (const Check& c : checks) {
    passed = passed && c.passed;
    list.push_back({{"model", c.model},
                    {"artifact", c.artifact},
                    {"engine", c.engine},
                    {"check", c.check},
                    {"value", std::isfinite(c.value) ? Json(c.value) : Json(nullptr)},
                    {"limit", c.limit},
                    {"passed", c.skipped ? Json(nullptr) : Json(c.passed)},
                    {"detail", c.detail}});
  }
  return Json{{"schema", "lunart.selfcheck/1"}, {"passed", passed}, {"checks", list}}.dump(
             2, ' ', false, Json::error_handler_t::replace) +
         "\n";
}

}  // namespace lunart::cli
