#include "lunart/runner.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>

#include "bundle/bundle.hpp"
#include "io/hu_crc32.hpp"
#include "networks.hpp"
#include "peak_memory.hpp"
#include "pipeline/classify.hpp"
#include "pipeline/group.hpp"
#include "pipeline/intended_input.hpp"
#include "pipeline/masks.hpp"
#include "pipeline/orientation.hpp"
#include "pipeline/region.hpp"
#include "pipeline/segment.hpp"
#include "stopwatch.hpp"
#include "threads.hpp"

namespace lunart {
namespace {

void require_consistent(const Volume& scan) {
  const std::string source = scan.path.empty() ? "the array" : scan.path;
  scan.geometry.validate(source.c_str());
  const std::size_t held = std::visit([](auto voxels) { return voxels.size(); }, scan.hu);
  if (held != scan.geometry.voxel_count()) {
    throw Error(Errc::scan, source + ": holds " + std::to_string(held) + " voxels and its shape " +
                                std::to_string(scan.geometry.voxel_count()));
  }
}

double sphere_diameter(double volume) {
  return std::cbrt(6 * volume / std::numbers::pi);
}

}  // namespace

std::string_view to_string(Stage stage) noexcept {
  switch (stage) {
    case Stage::read: return "read";
    case Stage::region: return "region";
    case Stage::segment: return "segment";
    case Stage::group: return "group";
    case Stage::classify: return "classify";
    case Stage::malignancy: return "malignancy";
  }
  return "";
}

std::string_view to_string(Precision precision) noexcept {
  return precision == Precision::bf16 ? "bf16" : "f32";
}

std::string_view version() noexcept {
  return LUNART_VERSION;
}

class Runner::Impl {
 public:
  explicit Impl(RunnerOptions options) : options_(std::move(options)) {
    Stopwatch watch;
    threads_ = thread_count(options_.threads);
    if (options_.threshold && !(*options_.threshold >= 0 && *options_.threshold <= 1)) {
      throw Error(Errc::usage, "threshold is " + std::to_string(*options_.threshold) +
                                   "; expected a probability from 0 to 1");
    }
    bundle_ = open_bundle(options_.bundle);
    require_task(bundle_, BundleTask::lung_nodules);
    threshold_ = options_.threshold.value_or(bundle_.manifest.pipeline.nodule_threshold);
    loaded_ = networks_of(
        bundle_, {.engine = options_.engine, .precision = options_.precision, .threads = threads_},
        options_.callable);
    load_s_ = watch.lap();
  }

  Result run_path(const std::filesystem::path& scan, const ProgressCallback& progress) {
    Stopwatch watch;
    const Tick tick = [&] { report(progress, Stage::read, 0, 1); };
    const Volume volume = read_scan(scan, tick);
    report(progress, Stage::read, 1, 1);
    const double read_s = watch.lap();
    Result result = run_volume(volume, progress);
    result.timings_s.read += read_s;
    result.timings_s.total += read_s;
    return result;
  }

  Result run_volume(const Volume& stored, const ProgressCallback& progress) {
    require_consistent(stored);
    const PipelineSettings& settings = bundle_.manifest.pipeline;
    Stopwatch total;
    Stopwatch watch;
    Result result = header_of(stored);
    const auto step_of = [&](Stage stage) {
      return [&progress, stage](std::size_t done, std::size_t all) {
        report(progress, stage, done, all);
      };
    };

    report(progress, Stage::region, 0, 1);
    const Tick tick = [&] { report(progress, Stage::region, 0, 1); };
    result.hu_crc32 = hu_crc32(stored, {.count = threads_, .tick = tick});
    result.timings_s.read = watch.lap();
    const Orientation orientation =
        settings.orient_to_lps ? nearest_lps(stored.geometry) : Orientation{};
    const Volume volume = orient(stored, orientation, tick);
    append_input_warnings(volume, bundle_.manifest.intended, result.warnings);
    std::optional<LungRegion> region;
    if (options_.region == Region::lungs) region = find_lungs(volume, tick, result.warnings);
    report(progress, Stage::region, 1, 1);
    result.timings_s.region = watch.lap();

    Segmented segmented = segment(volume, region, loaded_.networks.at("segmentation"),
                                  settings.segment, step_of(Stage::segment));
    result.slices = slices_of(std::move(segmented.highest), orientation);
    result.timings_s.segment = watch.lap();

    report(progress, Stage::group, 0, 1);
    GroupOptions group_options = settings.group;
    if (region) group_options.keep_centre = [&](const Irc& c) { return region->contains(c); };
    Grouped grouped = group(segmented.mask, volume, group_options);
    report(progress, Stage::group, 1, 1);
    result.timings_s.group = watch.lap();

    std::vector<Irc> centres;
    for (const Component& c : grouped.components) centres.push_back(c.center);
    const std::vector<double> probabilities =
        classify(volume, centres, loaded_.networks.at("classification"), settings.classify,
                 step_of(Stage::classify));
    result.masks = std::make_shared<const Masks>(
        Masks{orientation, stored.geometry.shape, std::move(grouped.runs), std::move(region)});
    add_findings(grouped.components, probabilities, result);
    result.timings_s.classify = watch.lap();

    rate_malignancy(volume, centres, step_of(Stage::malignancy), result);
    result.timings_s.malignancy = watch.lap();

    result.peak_rss_mb = peak_rss_mb();
    result.timings_s.total = total.lap();
    return result;
  }

 private:
  static void report(const ProgressCallback& progress, Stage stage, std::size_t done,
                     std::size_t total) {
    if (progress) progress({stage, done, total});
  }

  [[nodiscard]] Result header_of(const Volume& stored) const {
    Result result;
    result.path = stored.path;
    result.series_uid = stored.series_uid;
    result.geometry = stored.geometry;
    result.bundle_name = bundle_.manifest.name;
    result.bundle_sha256 = bundle_.sha256;
    result.engine = loaded_.info;
    result.threshold = threshold_;
    result.warnings = loaded_.warnings;
    result.warnings.insert(result.warnings.end(), stored.warnings.begin(), stored.warnings.end());
    result.timings_s.load = load_s_;
    return result;
  }

  LungRegion find_lungs(const Volume& volume, const Tick& tick,
                        std::vector<Warning>& warnings) const {
    LungRegion region = find_lung_region(volume, bundle_.manifest.pipeline.region, threads_, tick);
    if (region.empty()) {
      warnings.push_back({"no-lungs",
                          "no lungs were found, so nothing was searched; region off searches "
                          "whole slices"});
    }
    return region;
  }

  // Slices are counted along the stored axis, and the networks may have seen its end first.
  static SliceProbabilities slices_of(std::vector<double> highest, const Orientation& orientation) {
    if (orientation.flip[0]) std::ranges::reverse(highest);
    return {orientation.axis[0], std::move(highest)};
  }

  static void add_findings(const std::vector<Component>& components,
                           const std::vector<double>& probabilities, Result& result) {
    const Masks& masks = *result.masks;
    std::vector<std::vector<MaskRun>> runs = stored_runs(masks, components.size());
    for (std::size_t k = 0; k < components.size(); ++k) {
      const Component& c = components[k];
      Finding f;
      f.label = c.label;
      f.center_irc = masks.orientation.to_stored(c.center, result.geometry.shape);
      f.center_xyz_mm = result.geometry.to_xyz(f.center_irc);
      f.probability = probabilities[k];
      f.volume_mm3 = c.volume_mm3;
      f.diameter_mm = sphere_diameter(c.volume_mm3);
      f.voxels = c.voxels;
      f.mask_runs = std::move(runs[c.label - 1]);
      result.candidates.push_back(std::move(f));
    }
    result.candidate_count = components.size();
  }

  // Rates the candidates above the threshold, then lists them by falling probability.
  void rate_malignancy(const Volume& volume, std::span<const Irc> centres,
                       const std::function<void(std::size_t, std::size_t)>& step,
                       Result& result) const {
    std::vector<std::size_t> above;
    std::vector<Irc> places;
    for (std::size_t k = 0; k < result.candidates.size(); ++k) {
      if (!(result.candidates[k].probability > threshold_)) continue;
      above.push_back(k);
      places.push_back(centres[k]);
    }
    const auto network = loaded_.networks.find("malignancy");
    if (network != loaded_.networks.end()) {
      const std::vector<double> ratings =
          classify(volume, places, network->second, bundle_.manifest.pipeline.classify, step);
      for (std::size_t k = 0; k < above.size(); ++k) {
        result.candidates[above[k]].malignancy = ratings[k];
      }
    }
    for (const std::size_t k : above) result.nodules.push_back(result.candidates[k]);
    std::ranges::stable_sort(result.nodules, std::greater{}, &Finding::probability);
  }

  RunnerOptions options_;
  Bundle bundle_;
  int threads_{};
  double threshold_{};
  double load_s_{};
  LoadedNetworks loaded_;
};

Runner::Runner(RunnerOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Runner::~Runner() = default;
Runner::Runner(Runner&&) noexcept = default;
Runner& Runner::operator=(Runner&&) noexcept = default;

Result Runner::run(const std::filesystem::path& scan, const ProgressCallback& progress) {
  return impl_->run_path(scan, progress);
}

Result Runner::run(const Volume& volume, const ProgressCallback& progress) {
  return impl_->run_volume(volume, progress);
}

}  // namespace lunart
