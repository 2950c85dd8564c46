#include "bundle/manifest.hpp"

#include <charconv>
#include <nlohmann/json.hpp>

#include "lunart/error.hpp"

namespace lunart {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kSchemaName = "lunart.bundle/";
constexpr int kSchemaVersion = 1;
constexpr std::string_view kSchema = "lunart.bundle/1";
constexpr float kMostHu = 1e6;

[[noreturn]] void refuse(const std::string& what) {
  throw Error(Errc::bundle, what);
}

template <class T>
T value_in(const Json& at, const char* key) {
  try {
    return at.at(key).get<T>();
  } catch (const Json::exception& error) {
    refuse(std::string(key) + ": " + error.what());
  }
}

const Json& object_in(const Json& at, const char* key) {
  const Json& value = at.at(key);
  if (!value.is_object()) refuse(std::string(key) + " is no object: " + value.dump());
  return value;
}

const Json& list_in(const Json& at, const char* key) {
  const Json& value = at.at(key);
  if (!value.is_array()) refuse(std::string(key) + " is no list: " + value.dump());
  return value;
}

double number_in(const Json& at, const char* key, double low, double high) {
  const auto value = value_in<double>(at, key);
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
  if (!at.at("bytes").is_number_unsigned()) {
    refuse("bytes is no number of bytes: " + at.at("bytes").dump());
  }
  return {value_in<std::string>(at, "file"), value_in<std::uint64_t>(at, "bytes"),
          value_in<std::string>(at, "sha256")};
}

std::optional<NativeCode> native_code_of(const Json& at) {
  if (at.at("format") != "aotinductor") return std::nullopt;
  return NativeCode{value_in<std::string>(at, "instruction_set"),
                    value_in<std::string>(at, "torch")};
}

ModelEntry model_of(const Json& at) {
  ModelEntry model;
  for (const Json& output : list_in(at, "outputs")) {
    model.outputs.push_back(value_in<std::string>(output, "name"));
  }
  if (model.outputs.empty()) refuse("outputs is empty");
  model.weights = file_of(object_in(at, "weights"));
  for (const Json& artifact : list_in(at, "artifacts")) {
    model.artifacts.push_back({file_of(artifact), value_in<std::string>(artifact, "name"),
                               value_in<std::string>(artifact, "format"),
                               value_in<std::string>(artifact, "precision"),
                               native_code_of(artifact)});
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
  const auto orientation = value_in<std::string>(at, "orientation");
  if (orientation != "LPS" && orientation != "stored") {
    refuse("pipeline.orientation is \"" + orientation + "\"; expected LPS or stored");
  }
  PipelineSettings p;
  p.orient_to_lps = orientation == "LPS";

  const auto window = value_in<std::array<float, 2>>(at, "hu_window");
  if (!(window[0] < window[1] && window[0] >= -kMostHu && window[1] <= kMostHu)) {
    refuse("pipeline.hu_window is no range of HU: " + at.at("hu_window").dump());
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
    if (n < 1 || n > 128) refuse("pipeline.crop_irc is " + at.at("crop_irc").dump());
  }
  p.classify.crop = {crop[0], crop[1], crop[2]};
  p.nodule_threshold = number_in(at, "nodule_threshold", 0, 1);
  return p;
}

Xyz xyz_of(const Json& at, const char* key) {
  if (!at.at(key).is_array() || at.at(key).size() != 3) {
    refuse(std::string(key) + " is " + at.at(key).dump() + "; expected three numbers");
  }
  const auto v = at.at(key).get<std::array<double, 3>>();
  return {v[0], v[1], v[2]};
}

IntendedInput intended_of(const Json& at) {
  const Json& spacing = at.at("spacing_xyz_mm");
  const Json& slices = at.at("slices");
  const Json& hu = at.at("hu");
  return {.least_spacing = xyz_of(spacing, "min"),
          .most_spacing = xyz_of(spacing, "max"),
          .least_slices = integer_in(slices, "min", 0, 1'000'000),
          .most_slices = integer_in(slices, "max", 0, 1'000'000),
          .least_hu = number_in(hu, "min", -1e6, 1e6),
          .most_hu = number_in(hu, "max", -1e6, 1e6)};
}

Limits limits_of(const Json& at) {
  return {.max_abs = number_in(at, "max_abs", 0, 1),
          .nmse = number_in(at, "nmse", 0, 1),
          .probability = number_in(at, "probability", 0, 1),
          .centre_voxels = number_in(at, "centre_voxels", 0, 10),
          .diameter_share = number_in(at, "diameter_share", 0, 1),
          .least_dice = number_in(at, "least_dice", 0, 1),
          .least_voxels = number_in(at, "least_voxels", 0, 1000),
          .unmatched_share = number_in(at, "unmatched_share", 0, 1)};
}

void require_schema(const Json& root) {
  const auto schema = value_in<std::string>(root, "schema");
  if (schema == kSchema) return;
  const std::string reads = " and this program reads \"" + std::string(kSchema) + "\"; ";
  int version = -1;
  if (schema.starts_with(kSchemaName)) {
    std::from_chars(schema.data() + kSchemaName.size(), schema.data() + schema.size(), version);
  }
  if (version > kSchemaVersion) {
    refuse("its schema \"" + schema + "\" is newer" + reads + "update lunart");
  }
  if (version >= 0 && version < kSchemaVersion) {
    refuse("its schema \"" + schema + "\" is older" + reads +
           "export the weights again with luna-export of this version");
  }
  refuse("its schema is \"" + schema + "\"" + reads + "this is no bundle of lunart");
}

Manifest manifest_of(const Json& root) {
  require_schema(root);
  Manifest m;
  m.name = value_in<std::string>(root, "name");
  m.task = value_in<std::string>(root, "task");
  if (m.task != "lung-nodules") {
    refuse("its task is \"" + m.task + "\"; luna_infer runs bundles of task \"lung-nodules\"");
  }
  m.torch_version = value_in<std::string>(root.at("made_by"), "torch");
  for (const auto& [name, model] : object_in(root, "models").items()) {
    if (name != "segmentation" && name != "classification" && name != "malignancy") {
      refuse("models." + name + " is no network of this pipeline");
    }
    m.models[name] = model_of(model);
  }
  for (const char* needed : {"segmentation", "classification"}) {
    if (!m.models.contains(needed)) refuse(std::string("models.") + needed + " is missing");
  }
  m.pipeline = pipeline_of(object_in(root, "pipeline"), root.at("models").at("segmentation"));
  m.intended = intended_of(root.at("intended_input"));
  const Json& golden = object_in(root, "golden");
  for (const auto& [name, file] : object_in(golden, "networks").items()) {
    m.golden_networks[name] = file_of(file);
  }
  if (golden.contains("scan")) m.golden_scan = file_of(golden.at("scan"));
  if (golden.contains("result")) m.golden_result = file_of(golden.at("result"));
  const Json& limits = object_in(object_in(root, "verification"), "limits");
  m.limits = {.least_power = number_in(limits, "least_power", 0, 1),
              .candidate_voxels = number_in(limits, "candidate_voxels", 0, 1000),
              .f32 = limits_of(object_in(limits, "f32")),
              .bf16 = limits_of(object_in(limits, "bf16"))};
  const Json& precisions = object_in(root.at("verification"), "precisions");
  if (precisions.contains("bf16")) {
    m.same_nodules_in_bf16 = value_in<bool>(precisions.at("bf16"), "nodules_equal");
  }
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
