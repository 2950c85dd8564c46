#include "bundle/manifest.hpp"

#include <nlohmann/json.hpp>

#include "lunart/error.hpp"

namespace lunart {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kSchema = "lunart.bundle/1";

[[noreturn]] void refuse(const std::string& what) {
  throw Error(Errc::bundle, what);
}

double number_in(const Json& at, const char* key, double low, double high) {
  const auto value = at.at(key).get<double>();
  if (!(value >= low && value <= high)) {
    refuse(std::string(key) + " is " + Json(value).dump() + "; expected " + Json(low).dump() +
           " to " + Json(high).dump());
  }
  return value;
}

int integer_in(const Json& at, const char* key, int low, int high) {
  const Json& value = at.at(key);
  if (!value.is_number_integer()) refuse(std::string(key) + " is no integer: " + value.dump());
  return static_cast<int>(number_in(at, key, low, high));
}

BundleFile file_of(const Json& at) {
  return {at.at("file").get<std::string>(), at.at("bytes").get<std::uint64_t>(),
          at.at("sha256").get<std::string>()};
}

ModelEntry model_of(const Json& at) {
  ModelEntry model;
  for (const Json& output : at.at("outputs")) {
    model.outputs.push_back(output.at("name").get<std::string>());
  }
  model.weights = file_of(at.at("weights"));
  for (const Json& artifact : at.at("artifacts")) {
    model.artifacts.push_back({file_of(artifact), artifact.at("name").get<std::string>(),
                               artifact.at("format").get<std::string>(),
                               artifact.at("precision").get<std::string>()});
  }
  return model;
}

PipelineSettings pipeline_of(const Json& at, const Json& segmentation) {
  if (!at.at("resample_mm").is_null()) {
    refuse("pipeline.resample_mm is " + at.at("resample_mm").dump() +
           "; this version of lunart runs on the scan's own grid only (null)");
  }
  if (at.at("connectivity") != 6) {
    refuse("pipeline.connectivity is " + at.at("connectivity").dump() + "; only 6 is supported");
  }
  const auto orientation = at.at("orientation").get<std::string>();
  if (orientation != "LPS" && orientation != "stored") {
    refuse("pipeline.orientation is \"" + orientation + "\"; expected LPS or stored");
  }
  PipelineSettings p;
  p.orient_to_lps = orientation == "LPS";

  const auto window = at.at("hu_window").get<std::array<float, 2>>();
  if (!(window[0] < window[1])) refuse("pipeline.hu_window is empty: " + at.at("hu_window").dump());
  p.segment.window = p.group.window = p.classify.window = {window[0], window[1]};

  const Json& region = at.at("region");
  p.region = {.air_hu = number_in(region, "air_hu", -2000, 2000),
              .outside_hu = number_in(region, "outside_hu", -2000, 2000),
              .grid_mm = number_in(region, "grid_mm", 0.1, 20),
              .closing_mm = number_in(region, "closing_mm", 0, 50),
              .margin_mm = number_in(region, "margin_mm", 0, 10),
              .min_lung_ml = number_in(region, "min_lung_ml", 0, 1000),
              .max_hole_mm = number_in(region, "max_hole_mm", 0, 500)};

  p.segment.context_slices = integer_in(at, "context_slices", 0, 64);
  p.segment.threshold = number_in(at, "segmentation_threshold", 0, 1);
  p.segment.multiple_of = integer_in(segmentation, "multiple_of", 1, 64);
  p.segment.halo = integer_in(at, "halo", 0, 512);
  p.group.erosion = integer_in(at, "erosion", 0, 16);
  p.group.min_component_mm3 = number_in(at, "min_component_mm3", 0, 1e6);
  const auto crop = at.at("crop_irc").get<std::array<std::int64_t, 3>>();
  for (const std::int64_t n : crop) {
    if (n < 1 || n > 512) refuse("pipeline.crop_irc is " + at.at("crop_irc").dump());
  }
  p.classify.crop = {crop[0], crop[1], crop[2]};
  p.nodule_threshold = number_in(at, "nodule_threshold", 0, 1);
  return p;
}

Xyz xyz_of(const Json& at) {
  const auto v = at.get<std::array<double, 3>>();
  return {v[0], v[1], v[2]};
}

IntendedInput intended_of(const Json& at) {
  const Json& spacing = at.at("spacing_xyz_mm");
  return {.least_spacing = xyz_of(spacing.at("min")),
          .most_spacing = xyz_of(spacing.at("max")),
          .least_slices = at.at("slices").at("min").get<std::int64_t>(),
          .most_slices = at.at("slices").at("max").get<std::int64_t>(),
          .least_hu = at.at("hu").at("min").get<double>(),
          .most_hu = at.at("hu").at("max").get<double>()};
}

void require_schema(const Json& root) {
  const auto schema = root.at("schema").get<std::string>();
  if (schema == kSchema) return;
  refuse("its schema is \"" + schema + "\" and this program reads \"" + std::string(kSchema) +
         "\"; export the bundle again with luna-export of this version, or use the lunart version "
         "that made it");
}

Manifest manifest_of(const Json& root) {
  require_schema(root);
  Manifest m;
  m.name = root.at("name").get<std::string>();
  m.task = root.at("task").get<std::string>();
  if (m.task != "lung-nodules") {
    refuse("its task is \"" + m.task + "\"; luna_infer runs bundles of task \"lung-nodules\"");
  }
  m.torch_version = root.at("made_by").at("torch").get<std::string>();
  for (const auto& [name, model] : root.at("models").items()) m.models[name] = model_of(model);
  for (const char* needed : {"segmentation", "classification"}) {
    if (!m.models.contains(needed)) refuse(std::string("models.") + needed + " is missing");
  }
  m.pipeline = pipeline_of(root.at("pipeline"), root.at("models").at("segmentation"));
  m.intended = intended_of(root.at("intended_input"));
  const Json& golden = root.at("golden");
  for (const auto& [name, file] : golden.at("networks").items()) {
    m.golden_networks[name] = file_of(file);
  }
  if (golden.contains("scan")) m.golden_scan = file_of(golden.at("scan"));
  if (golden.contains("result")) m.golden_result = file_of(golden.at("result"));
  const Json& limits = root.at("verification").at("limits");
  m.limits = {number_in(limits, "max_abs", 0, 1), number_in(limits, "nmse", 0, 1)};
  return m;
}

}  // namespace

Manifest parse_manifest(std::string_view text, const std::filesystem::path& path) {
  try {
    return manifest_of(Json::parse(text));
  } catch (const std::exception& error) {
    throw Error(Errc::bundle, path.string() + ": " + error.what());
  }
}

}  // namespace lunart
