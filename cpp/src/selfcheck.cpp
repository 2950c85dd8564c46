// The proof on the customer's machine: golden vectors through every artifact that this build can
// run, their weights against the recorded ones, and the golden scan from reading to nodules.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "bundle/bundle.hpp"
#include "bundle/safetensors.hpp"
#include "engines/registry.hpp"
#include "lunart/runner.hpp"
#include "threads.hpp"

namespace lunart {
namespace {

using Json = nlohmann::json;
using Tensors = std::map<std::string, Tensor>;

constexpr double kNearThreshold = 1e-3;  // a nodule this close may fall either way
constexpr double kCentreVoxels = 0.5;
// Where every probability is near zero, as on air, a ratio of two rounding errors says nothing.
constexpr double kLeastPower = 0.01;
constexpr double kNever = std::numeric_limits<double>::infinity();

class Report {
 public:
  Report(std::string model, std::string artifact)
      : model_(std::move(model)), artifact_(std::move(artifact)) {}

  void add(const std::string& check, double value, double limit, const std::string& detail = {}) {
    checks_.push_back({model_, artifact_, check, value, limit, value <= limit, detail});
  }
  void fail(const std::string& check, const std::string& detail) { add(check, kNever, 0, detail); }
  void move_to(std::vector<Check>& all) { std::ranges::move(checks_, std::back_inserter(all)); }

 private:
  std::string model_, artifact_;
  std::vector<Check> checks_;
};

void compare(const Tensor& got, const Tensor& expected, const std::string& name,
             const Limits& limits, Report& report) {
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
  const double least = kLeastPower * static_cast<double>(got.data.size());
  const double nmse = square / std::max(reference, least);
  report.add(name + " max_abs", most / scale, limits.max_abs);
  report.add(name + " nmse", std::isnan(nmse) ? kNever : nmse, limits.nmse);
}

void check_case(const NetworkFunction& network, const std::string& name, const Tensor& input,
                const Tensors& golden, const std::vector<std::string>& outputs,
                const Limits& limits, Report& report) {
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
      compare(got[k], expected->second, name + " " + outputs[k], limits, report);
    }
  }
}

// How many weights differ from weights.safetensors, bit for bit.
void check_weights(const Tensors& got, const Tensors& expected, Report& report) {
  if (got.empty()) return;  // the format keeps no names
  double different = 0;
  std::string first;
  for (const auto& [name, tensor] : expected) {
    const auto found = got.find(name);
    if (found != got.end() && found->second.shape == tensor.shape &&
        found->second.data == tensor.data) {
      continue;
    }
    if (different++ == 0) first = name;
  }
  report.add("weights differing", different, 0, first.empty() ? "" : "first: " + first);
}

void check_artifact(const Bundle& bundle, Engine& engine, const std::string& model,
                    const ArtifactEntry& artifact, Report& report) {
  constexpr std::string_view kInput = ".input";
  const ModelEntry& entry = bundle.manifest.models.at(model);
  const auto vectors = bundle.manifest.golden_networks.find(model);
  if (vectors == bundle.manifest.golden_networks.end()) {
    throw Error(Errc::bundle, bundle.folder.string() + ": has no golden vectors of model " + model +
                                  ", so it proves nothing; export it again");
  }
  try {
    check_weights(engine.weights(bundle.path_of(artifact)),
                  read_safetensors(bundle.path_of(entry.weights)), report);
    const NetworkFunction network = engine.load(bundle.path_of(artifact));
    const Tensors golden = read_safetensors(bundle.path_of(vectors->second));
    std::size_t cases = 0;
    for (const auto& [name, tensor] : golden) {
      if (!name.ends_with(kInput)) continue;
      ++cases;
      check_case(network, name.substr(0, name.size() - kInput.size()), tensor, golden,
                 entry.outputs, bundle.manifest.limits, report);
    }
    if (cases == 0) report.fail("golden vectors", vectors->second.file + " holds no input");
  } catch (const Error& error) {
    if (error.code() != Errc::engine) throw;
    report.fail("load", error.what());
  }
}

double distance_in_voxels(const Finding& got, const Json& expected) {
  const auto irc = expected.at("center_irc").get<std::array<double, 3>>();
  return std::max({std::abs(got.center_irc.index - irc[0]), std::abs(got.center_irc.row - irc[1]),
                   std::abs(got.center_irc.col - irc[2])});
}

// Every nodule of one side that is not near the threshold has its like on the other.
void compare_nodules(const Result& got, const Json& expected, const Limits& limits,
                     Report& report) {
  const Json& nodules = expected.at("nodules");
  const auto is_near = [&](double p) { return std::abs(p - got.threshold) <= kNearThreshold; };
  double missing = 0;
  double surplus = 0;
  double farthest = 0;
  double probability = 0;
  std::vector<bool> taken(got.nodules.size());
  for (const Json& wanted : nodules) {
    const auto p = wanted.at("probability").get<double>();
    std::size_t nearest = taken.size();
    double least = kCentreVoxels;
    for (std::size_t k = 0; k < taken.size(); ++k) {
      const double d = distance_in_voxels(got.nodules[k], wanted);
      if (taken[k] || d > least) continue;
      nearest = k;
      least = d;
    }
    if (nearest == taken.size()) {
      missing += is_near(p) ? 0 : 1;
      continue;
    }
    taken[nearest] = true;
    farthest = std::max(farthest, least);
    probability = std::max(probability, std::abs(got.nodules[nearest].probability - p));
  }
  for (std::size_t k = 0; k < taken.size(); ++k) {
    if (!taken[k] && !is_near(got.nodules[k].probability)) ++surplus;
  }
  report.add("nodules missing", missing, 0, "of " + std::to_string(nodules.size()));
  report.add("nodules surplus", surplus, 0);
  report.add("centre distance (voxels)", farthest, kCentreVoxels);
  report.add("probability max_abs", probability, limits.max_abs);
}

void check_scan(const Bundle& bundle, const RunnerOptions& options, const std::string& artifact,
                Report& report) {
  RunnerOptions of_artifact = options;
  of_artifact.engine = artifact;
  of_artifact.region = Region::lungs;
  of_artifact.threshold.reset();
  const Manifest& manifest = bundle.manifest;
  if (!manifest.golden_scan || !manifest.golden_result) {
    throw Error(Errc::bundle, bundle.folder.string() +
                                  ": has no golden scan, so it proves nothing; export it again");
  }
  try {
    const auto path = bundle.path_of(*manifest.golden_result);
    std::ifstream file(path);
    const Json expected = Json::parse(file, nullptr, false);
    if (expected.is_discarded()) throw Error(Errc::bundle, path.string() + ": is no JSON");
    const Result got = Runner(of_artifact).run(bundle.path_of(*manifest.golden_scan));
    compare_nodules(got, expected, manifest.limits, report);
  } catch (const Json::exception& error) {
    throw Error(Errc::bundle, "the golden result: " + std::string(error.what()));
  } catch (const Error& error) {
    if (error.code() != Errc::engine) throw;
    report.fail("run", error.what());
  }
}

void check_artifact_of_all_models(const Bundle& bundle, Engine& engine, const std::string& artifact,
                                  const RunnerOptions& options, std::vector<Check>& checks) {
  for (const auto& [model, entry] : bundle.manifest.models) {
    const auto held = std::ranges::find(entry.artifacts, artifact, &ArtifactEntry::name);
    if (held == entry.artifacts.end()) continue;
    Report report(model, artifact);
    check_artifact(bundle, engine, model, *held, report);
    report.move_to(checks);
  }
  Report report("pipeline", artifact);
  check_scan(bundle, options, artifact, report);
  report.move_to(checks);
}

bool has_artifact(const Bundle& bundle, const std::string& name) {
  return std::ranges::all_of(bundle.manifest.models, [&](const auto& model) {
    const auto& held = model.second.artifacts;
    return std::ranges::find(held, name, &ArtifactEntry::name) != held.end();
  });
}

}  // namespace

std::vector<Check> selfcheck(const RunnerOptions& options) {
  const Bundle bundle = open_bundle(options.bundle);
  std::vector<Check> checks;
  std::string why;
  for (const EngineEntry& entry : engine_list()) {
    for (const std::string& artifact : entry.artifacts) {
      const bool wanted =
          options.engine == "auto" || options.engine == entry.name || options.engine == artifact;
      if (!wanted || !has_artifact(bundle, artifact)) continue;
      try {
        const auto engine =
            entry.open(thread_count(options.threads), bundle.manifest.torch_version);
        check_artifact_of_all_models(bundle, *engine, artifact, options, checks);
      } catch (const Error& error) {
        if (error.code() != Errc::engine) throw;
        why += std::string("\n  ") + error.what();
      }
    }
  }
  if (checks.empty()) {
    throw Error(Errc::engine, "no artifact of " + bundle.folder.string() +
                                  " could be checked with engine " + options.engine + why);
  }
  return checks;
}

}  // namespace lunart
