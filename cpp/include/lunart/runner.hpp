// The pipeline over one bundle:
//
//   lunart::Runner runner({.bundle = "exported/luna"});
//   lunart::Result result = runner.run(lunart::read_scan("scan.mhd"));
//   for (const lunart::Finding& nodule : result.nodules)
//     std::printf("%.1f mm at %.1f %.1f %.1f, p = %.3f\n", nodule.diameter_mm,
//                 nodule.center_xyz_mm.x, nodule.center_xyz_mm.y, nodule.center_xyz_mm.z,
//                 nodule.probability);
//
// A Runner keeps the networks loaded; use it from one thread at a time. Every call throws
// lunart::Error and leaves nothing half-done.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lunart/error.hpp"
#include "lunart/export.hpp"
#include "lunart/network.hpp"
#include "lunart/result.hpp"
#include "lunart/volume.hpp"

namespace lunart {

enum class Region { lungs, off };
// Of the networks' arithmetic. bf16 is faster and coarser: probabilities move by some hundredths.
enum class Precision { f32, bf16 };
[[nodiscard]] LUNART_API std::string_view to_string(Precision precision) noexcept;
enum class Stage { read, region, segment, group, classify, malignancy };
[[nodiscard]] LUNART_API std::string_view to_string(Stage stage) noexcept;

struct Progress {
  Stage stage{};
  std::size_t done{}, total{};
};
// Called from the thread that runs; an exception stops the run and passes unchanged.
using ProgressCallback = std::function<void(const Progress&)>;

// Networks handed in by the caller instead of an engine's: one function a model of the bundle.
struct CallableEngine {
  EngineInfo info;
  std::map<std::string, NetworkFunction> networks;
};

struct RunnerOptions {
  std::filesystem::path bundle{"exported/luna"};
  std::string engine{"auto"};  // auto: for each network the first of engines() that can run it
  Precision precision{Precision::f32};
  int threads{0};  // 0: every processor this process may use
  Region region{Region::lungs};
  std::optional<double> threshold{};  // of a nodule's probability; default: the bundle's
  std::optional<CallableEngine> callable{};
};

class Runner {
 public:
  LUNART_API explicit Runner(RunnerOptions options);
  LUNART_API ~Runner();
  LUNART_API Runner(Runner&&) noexcept;
  LUNART_API Runner& operator=(Runner&&) noexcept;

  // Reads the scan and runs; `timings_s.read` and `total` include the reading.
  [[nodiscard]] LUNART_API Result run(const std::filesystem::path& scan,
                                      const ProgressCallback& progress = {});
  [[nodiscard]] LUNART_API Result run(const Volume& volume, const ProgressCallback& progress = {});

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// One number of a self-check: a golden vector or the golden scan against what this machine
// computes.
struct Check {
  std::string model, artifact, engine, check;  // segmentation, onnx, openvino, structured/...
  double value{}, limit{};
  bool passed{};
  bool skipped{};      // nothing here can run the artifact: neither proved nor refuted
  std::string detail;  // what went wrong, when it is not a number
};

// Proves on this machine, from the bundle alone, that its artifacts compute what eager PyTorch
// did: the golden vectors of every network and the golden scan from reading to nodules.
[[nodiscard]] LUNART_API std::vector<Check> selfcheck(const RunnerOptions& options);

// An engine as --engine takes it, in the order in which `auto` tries them.
struct EngineStatus {
  std::string name;
  std::vector<std::string> artifacts{};  // of a bundle that it can run, the preferred first
  std::vector<Precision> precisions{};   // that it can compute in on this processor
  bool built{};                          // is part of this build
  bool supported{};                      // and runs here
  std::string version{};                 // of its library; empty when not supported
  std::string why_not{};                 // with the way out; empty when supported
};
// Opens every engine's library to find out.
[[nodiscard]] LUNART_API std::vector<EngineStatus> engines();

[[nodiscard]] LUNART_API std::string_view version() noexcept;

}  // namespace lunart
