#include "networks.hpp"

#include "lunart/error.hpp"

namespace lunart {
namespace {

void warn_of_precision(const Manifest& manifest, std::vector<Warning>& warnings) {
  if (manifest.same_in_bf16.value_or(false)) return;
  const std::string what =
      manifest.task == BundleTask::image_classification ? "classes" : "nodules";
  warnings.push_back(
      {"precision",
       manifest.same_in_bf16
           ? "in bf16 this bundle gave other " + what + " than in f32 when it was exported"
           : "it was not tried whether this bundle gives the same " + what +
                 " in bf16 as in f32; luna-export on a processor with bf16 states "
                 "it"});
}

LoadedNetworks given_by(const CallableEngine& callable, const Bundle& bundle,
                        const NetworkOptions& options) {
  if (options.precision != Precision::f32) {
    throw Error(Errc::usage, callable.info.name +
                                 " computes in f32 only; leave precision out, or take engine "
                                 "openvino");
  }
  for (const auto& [name, model] : bundle.manifest.models) {
    if (!callable.networks.contains(name)) {
      throw Error(Errc::usage, "the callable engine has no network \"" + name + "\"");
    }
  }
  LoadedNetworks given;
  given.info = callable.info;
  given.info.threads = options.threads;
  for (const auto& [name, run] : callable.networks) given.networks[name] = {.run = run};
  return given;
}

}  // namespace

LoadedNetworks networks_of(const Bundle& bundle, const NetworkOptions& options,
                           const std::optional<CallableEngine>& callable) {
  if (callable) return given_by(*callable, bundle, options);
  LoadedNetworks loaded = load_networks(options.engine, bundle,
                                        {.threads = options.threads,
                                         .precision = options.precision,
                                         .made_by_torch = bundle.manifest.torch_version});
  if (options.precision == Precision::bf16) warn_of_precision(bundle.manifest, loaded.warnings);
  return loaded;
}

}  // namespace lunart
