// The proof on the customer's machine: golden vectors through every artifact that this build can
// run, their weights against the recorded ones, and the golden scan or image from reading to
// result.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "bundle/bundle.hpp"
#include "bundle/safetensors.hpp"
#include "engines/native_code.hpp"
#include "engines/registry.hpp"
#include "lunart/classifier.hpp"
#include "lunart/runner.hpp"
#include "selfcheck_image.hpp"
#include "selfcheck_report.hpp"
#include "selfcheck_scan.hpp"
#include "threads.hpp"

namespace lunart {
namespace {

using Json = nlohmann::json;
using Tensors = std::map<std::string, Tensor>;

void compare(const Tensor& got, const Tensor& expected, const std::string& name,
             const Limits& limits, double least_power, Report& report) {
  if (got.shape != expected.shape) {
    report.fail(name,
                "shape " + Json(got.shape).dump() + ", expected " + Json(expected.shape).dump());
    return;
  }
  double most = 0;
  double scale = 1;
  double square = 0;
  double reference = 0;
  for (std::size_t k = 0; k < got.data.size(); ++k) {
    const double e = expected.data[k];
    const double d = static_cast<double>(got.data[k]) - e;
    most = std::isnan(d) ? kNever : std::max(most, std::abs(d));
    scale = std::max(scale, std::abs(e));
    square += d * d;
    reference += e * e;
  }
  const double least = least_power * static_cast<double>(got.data.size());
  const double nmse = square / std::max(reference, least);
  report.add(name + " max_abs", most / scale, limits.max_abs);
  report.add(name + " nmse", std::isnan(nmse) ? kNever : nmse, limits.nmse);
}

void check_case(const NetworkFunction& network, const std::string& name, const Tensor& input,
                const Tensors& golden, const std::vector<std::string>& outputs,
                const Limits& limits, double least_power, Report& report) {
  std::vector<Tensor> got;
  try {
    got = network({input.shape, input.data});
  } catch (const Error& error) {
    report.fail(name, error.what());
    return;
  }
  if (got.size() != outputs.size()) {
    report.fail(
        name, std::to_string(got.size()) + " outputs, expected " + std::to_string(outputs.size()));
    return;
  }
  for (std::size_t k = 0; k < outputs.size(); ++k) {
    const auto expected = golden.find(name + "." + outputs[k]);
    if (expected == golden.end()) {
      report.fail(name + " " + outputs[k], "the bundle has no golden output");
    } else {
      compare(got[k], expected->second, name + " " + outputs[k], limits, least_power, report);
    }
  }
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape == b.shape &&
         std::memcmp(a.data.data(), b.data.data(), a.data.size() * sizeof(float)) == 0;
}

// How many weights are missing, surplus or differ from weights.safetensors in any bit.
void check_weights(const Tensors& got, const Tensors& expected, Report& report) {
  double different = 0;
  std::string first;
  const auto differs = [&](const std::string& name) {
    if (different++ == 0) first = "first: " + name;
  };
  for (const auto& [name, tensor] : expected) {
    const auto found = got.find(name);
    if (found == got.end() || !same_bits(found->second, tensor)) differs(name);
  }
  for (const auto& [name, tensor] : got) {
    if (!expected.contains(name)) differs(name);
  }
  report.add("weights differing", different, 0, first);
}

void check_artifact(const Bundle& bundle, Engine& engine, const std::string& model,
                    const ArtifactEntry& artifact, Precision precision, Report& report) {
  constexpr std::string_view kInput = ".input";
  const ModelEntry& entry = bundle.manifest.models.at(model);
  const LimitsOfPrecision& limits = bundle.manifest.limits;
  const auto vectors = bundle.manifest.golden_networks.find(model);
  if (vectors == bundle.manifest.golden_networks.end()) {
    throw Error(Errc::bundle, bundle.folder.string() + ": has no golden vectors of model " + model +
                                  ", so it proves nothing; export it again");
  }
  try {
    if (const auto weights = engine.weights(bundle.path_of(artifact))) {
      check_weights(*weights, read_safetensors(bundle.path_of(entry.weights)), report);
    }
    const NetworkFunction network = load_artifact(engine, bundle, artifact).run;
    const Tensors golden = read_safetensors(bundle.path_of(vectors->second));
    std::size_t cases = 0;
    for (const auto& [name, tensor] : golden) {
      if (!name.ends_with(kInput)) continue;
      ++cases;
      check_case(network, name.substr(0, name.size() - kInput.size()), tensor, golden,
                 entry.outputs, limits.of(precision), limits.least_power, report);
    }
    if (cases == 0) report.fail("golden vectors", vectors->second.file + " holds no input");
  } catch (const Error& error) {
    if (error.code() != Errc::engine) throw;
    report.fail("load", error.what());
  }
}

void check_scan(const std::filesystem::path& scan, const Json& expected, const Manifest& manifest,
                const RunnerOptions& given, Report& report) {
  RunnerOptions options = given;
  options.region = Region::lungs;
  options.threshold.reset();
  const Result got = Runner(options).run(scan);
  compare_results(got, expected, manifest.limits, options.precision, report);
}

void check_image(const std::filesystem::path& image, const Json& expected, const Manifest& manifest,
                 const RunnerOptions& options, Report& report) {
  const Classification got = Classifier({.bundle = options.bundle,
                                         .engine = options.engine,
                                         .precision = options.precision,
                                         .threads = options.threads})
                                 .classify(image);
  compare_results(got, expected, manifest.limits, options.precision, report);
}

// The golden scan or image, from reading to the result.
void check_input(const Bundle& bundle, RunnerOptions options, const std::string& engine,
                 Report& report) {
  options.engine = engine;
  const Manifest& manifest = bundle.manifest;
  if (!manifest.golden_input || !manifest.golden_result) {
    throw Error(Errc::bundle, bundle.folder.string() +
                                  ": has no golden scan or image, so it proves nothing; export it "
                                  "again");
  }
  try {
    const auto path = bundle.path_of(*manifest.golden_result);
    std::ifstream file(path);
    const Json expected = Json::parse(file, nullptr, false);
    if (expected.is_discarded()) throw Error(Errc::bundle, path.string() + ": is no JSON");
    const auto check = manifest.task == BundleTask::image_classification ? check_image : check_scan;
    check(bundle.path_of(*manifest.golden_input), expected, manifest, options, report);
  } catch (const Json::exception& error) {
    throw Error(Errc::bundle, "the golden result: " + std::string(error.what()));
  } catch (const Error& error) {
    if (error.code() != Errc::engine) throw;
    report.fail("run", error.what());
  }
}

// The artifacts of all models that an engine runs, under its name.
void check_engine(const Bundle& bundle, const EngineEntry& entry, const EngineSettings& settings,
                  const RunnerOptions& options, std::vector<Check>& checks) {
  const auto engine = open_engine(entry, settings);
  std::string artifact;
  for (const auto& [model, held] : bundle.manifest.models) {
    const ArtifactEntry& found = *find_artifact(entry, held);
    artifact = found.name;
    Report report(model, artifact, entry.name);
    check_artifact(bundle, *engine, model, found, settings.precision, report);
    report.move_to(checks);
  }
  Report report("pipeline", artifact, entry.name);
  check_input(bundle, options, entry.name, report);
  report.move_to(checks);
}

bool runs_every_model(const EngineEntry& entry, const Bundle& bundle) {
  return std::ranges::all_of(bundle.manifest.models, [&](const auto& model) {
    return find_artifact(entry, model.second) != nullptr;
  });
}

}  // namespace

std::vector<Check> selfcheck(const RunnerOptions& options) {
  const Bundle bundle = open_bundle(options.bundle);
  const EngineSettings settings{.threads = thread_count(options.threads),
                                .precision = options.precision,
                                .made_by_torch = bundle.manifest.torch_version};
  require_known_engine(options.engine);
  std::vector<Check> checks;
  std::vector<Check> left_out;
  for (const EngineEntry& entry : engine_list()) {
    const bool wanted = options.engine == "auto" || options.engine == entry.name;
    if (!wanted || !runs_every_model(entry, bundle)) continue;
    try {
      check_engine(bundle, entry, settings, options, checks);
    } catch (const Error& error) {
      if (error.code() != Errc::engine) throw;
      left_out.push_back({.model = "all",
                          .artifact = entry.artifacts.front(),
                          .engine = entry.name,
                          .check = "not checked",
                          .passed = true,
                          .skipped = true,
                          .detail = error.what()});
    }
  }
  if (checks.empty()) {
    std::string why;
    for (const Check& check : left_out) why += "\n  " + check.detail;
    throw Error(Errc::engine, "nothing of " + bundle.folder.string() +
                                  " could be checked with engine " + options.engine + why);
  }
  std::ranges::move(left_out, std::back_inserter(checks));
  return checks;
}

}  // namespace lunart
