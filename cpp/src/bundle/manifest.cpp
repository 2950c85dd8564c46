#include "bundle/manifest.hpp"

#include <algorithm>
#include <charconv>

#include "bundle/manifest_parts.hpp"

namespace lunart {
namespace {

constexpr std::string_view kSchemaName = "lunart.bundle/";
constexpr int kSchemaVersion = 2;
constexpr std::string_view kSchema = "lunart.bundle/2";

BundleFile file_of(const Json& at) {
  const Json& bytes = member_of(at, "bytes");
  if (!bytes.is_number_unsigned()) refuse("bytes is no number of bytes: " + quoted(bytes));
  return {value_in<std::string>(at, "file"), value_in<std::uint64_t>(at, "bytes"),
          value_in<std::string>(at, "sha256")};
}

std::optional<NativeCode> native_code_of(const Json& at) {
  if (member_of(at, "format") != "aotinductor") return std::nullopt;
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

Limits limits_of(const Json& at) {
  return {.max_abs = number_in(at, "max_abs", 0, 1),
          .nmse = number_in(at, "nmse", 0, 1),
          .probability = number_in(at, "probability", 0, 1)};
}

void read_limits_of_findings(const Json& at, Limits& limits) {
  limits.centre_voxels = number_in(at, "centre_voxels", 0, 10);
  limits.diameter_share = number_in(at, "diameter_share", 0, 1);
  limits.least_dice = number_in(at, "least_dice", 0, 1);
  limits.least_voxels = number_in(at, "least_voxels", 0, 1000);
  limits.unmatched_share = number_in(at, "unmatched_share", 0, 1);
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

// The limits of a scan's findings say nothing of images.
LimitsOfPrecision all_limits_of(const Json& at, BundleTask task) {
  LimitsOfPrecision limits{.least_power = number_in(at, "least_power", 0, 1),
                           .f32 = limits_of(object_in(at, "f32")),
                           .bf16 = limits_of(object_in(at, "bf16"))};
  if (task == BundleTask::image_classification) return limits;
  limits.candidate_voxels = number_in(at, "candidate_voxels", 0, 1000);
  read_limits_of_findings(at.at("f32"), limits.f32);
  read_limits_of_findings(at.at("bf16"), limits.bf16);
  return limits;
}

// The networks of a task; the last may be absent.
struct Roles {
  std::vector<std::string> needed, optional;
};

Roles roles_of(BundleTask task) {
  if (task == BundleTask::image_classification) return {{"classification"}, {}};
  return {{"segmentation", "classification"}, {"malignancy"}};
}

std::map<std::string, ModelEntry> models_of(const Json& at, const Roles& roles) {
  std::map<std::string, ModelEntry> models;
  const auto has = [](const std::vector<std::string>& names, const std::string& name) {
    return std::ranges::find(names, name) != names.end();
  };
  for (const auto& [name, model] : at.items()) {
    if (!has(roles.needed, name) && !has(roles.optional, name)) {
      refuse("models." + name + " is no network of the bundle's task");
    }
    models[name] = model_of(model);
  }
  for (const std::string& needed : roles.needed) {
    if (!models.contains(needed)) refuse("models." + needed + " is missing");
  }
  return models;
}

BundleTask task_named(const std::string& name) {
  if (name == "lung-nodules") return BundleTask::lung_nodules;
  if (name == "image-classification") return BundleTask::image_classification;
  refuse("its task is \"" + name + "\"; this lunart knows lung-nodules and image-classification");
}

Manifest manifest_of(const Json& root) {
  require_schema(root);
  Manifest m;
  m.name = value_in<std::string>(root, "name");
  m.task = task_named(value_in<std::string>(root, "task"));
  m.torch_version = value_in<std::string>(object_in(root, "made_by"), "torch");
  m.models = models_of(object_in(root, "models"), roles_of(m.task));
  if (m.task == BundleTask::image_classification) {
    m.images = images_of(root);
  } else {
    m.pipeline = pipeline_of(object_in(root, "pipeline"), root.at("models").at("segmentation"));
    m.intended = intended_of(object_in(root, "intended_input"));
  }
  const Json& golden = object_in(root, "golden");
  for (const auto& [name, file] : object_in(golden, "networks").items()) {
    m.golden_networks[name] = file_of(file);
  }
  const char* const input = m.task == BundleTask::image_classification ? "image" : "scan";
  if (golden.contains(input)) m.golden_input = file_of(golden.at(input));
  if (golden.contains("result")) m.golden_result = file_of(golden.at("result"));
  const Json& verification = object_in(root, "verification");
  m.limits = all_limits_of(object_in(verification, "limits"), m.task);
  const Json& precisions = object_in(verification, "precisions");
  if (precisions.contains("bf16")) {
    m.same_in_bf16 = value_in<bool>(
        precisions.at("bf16"),
        m.task == BundleTask::image_classification ? "classes_equal" : "nodules_equal");
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
