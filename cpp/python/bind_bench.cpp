// lunart._core: what luna-bench needs besides the pipeline itself.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <tuple>

#include "bench/peak.hpp"
#include "bundle/bundle.hpp"
#include "lunart/error.hpp"
#include "module.hpp"
#include "pipeline/orientation.hpp"
#include "pipeline/region.hpp"
#include "pipeline/segment.hpp"
#include "python/signal_tick.hpp"
#include "threads.hpp"

namespace py = pybind11;

namespace lunart {
namespace {

py::object peak_gflops(const std::string& precision, int threads, double seconds) {
  if (!(seconds > 0 && seconds <= 60)) {
    throw Error(Errc::usage, "seconds is " + std::to_string(seconds) + "; expected 0 to 60");
  }
  const Precision wanted = precision_of(precision);
  const int count = thread_count(threads);
  std::optional<Peak> peak;
  {
    const py::gil_scoped_release no_gil;
    peak = measure_peak(wanted, count, seconds);
  }
  if (!peak) return py::none();
  py::dict found;
  found["gflops"] = peak->gflops;
  found["instructions"] = peak->instructions;
  return found;
}

using I = std::int64_t;
using BoundBox = std::tuple<I, I, I, I, I>;  // index, row, col, rows, cols

std::vector<BoundBox> segmented_boxes(const Volume& scan, const std::filesystem::path& folder,
                                      bool lungs) {
  const Tick tick = signal_tick();
  const py::gil_scoped_release no_gil;
  const Bundle bundle = open_bundle(folder);
  require_task(bundle, BundleTask::lung_nodules);
  const PipelineSettings& settings = bundle.manifest.pipeline;
  const Volume volume =
      settings.orient_to_lps ? orient(scan, nearest_lps(scan.geometry), tick) : scan;
  std::optional<LungRegion> region;
  if (lungs) region = find_lung_region(volume, settings.region, 1, tick);
  std::vector<BoundBox> found;
  for (const auto& [index, b] :
       slice_boxes(volume.geometry.shape, region, settings.segment.boxes)) {
    found.emplace_back(index, b.row, b.col, b.rows, b.cols);
  }
  return found;
}

}  // namespace

void bind_bench(py::module_& m) {
  m.def("peak_gflops", &peak_gflops, py::arg("precision"), py::arg("threads") = 0,
        py::arg("seconds") = 0.5,
        "The processor's fused multiply-adds: gflops and instructions; None where it has none of "
        "that precision.");
  m.def("segmented_boxes", &segmented_boxes, py::arg("scan"), py::arg("bundle"), py::arg("lungs"),
        "What a run segments: (index, row, col, rows, cols) of each box, in the scan as the "
        "networks see it.");
}

}  // namespace lunart
