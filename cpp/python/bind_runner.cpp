// lunart._core.Runner and its results. Python's lunart.Runner is a thin layer over it.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include "io/element.hpp"
#include "io/hu_buffer.hpp"
#include "io/hu_crc32.hpp"
#include "lunart/report.hpp"
#include "lunart/runner.hpp"
#include "module.hpp"
#include "python/callable_network.hpp"
#include "python/signal_tick.hpp"
#include "report/listed.hpp"
#include "threads.hpp"

namespace py = pybind11;

namespace lunart {
namespace {

ProgressCallback progress_of(const std::optional<py::function>& function) {
  Tick signals = signal_tick();
  if (!function) {
    return [signals](const Progress&) mutable { signals(); };
  }
  return [signals, held = held_by_cpp(*function)](const Progress& p) mutable {
    signals();
    const py::gil_scoped_acquire gil;
    (*held)(std::string(to_string(p.stage)), p.done, p.total);
  };
}

std::optional<Element> element_of(const py::dtype& type) {
  const auto is = [&](auto value) { return type.equal(py::dtype::of<decltype(value)>()); };
  if (is(std::int8_t{})) return Element::int8;
  if (is(std::uint8_t{})) return Element::uint8;
  if (is(std::int16_t{})) return Element::int16;
  if (is(std::uint16_t{})) return Element::uint16;
  if (is(std::int32_t{})) return Element::int32;
  if (is(std::uint32_t{})) return Element::uint32;
  if (is(std::int64_t{})) return Element::int64;
  if (is(std::uint64_t{})) return Element::uint64;
  if (is(float{})) return Element::float32;
  if (is(double{})) return Element::float64;
  return std::nullopt;
}

void convert(const py::array& array, Element element, Volume& volume) {
  const std::span bytes(static_cast<const std::byte*>(array.data()),
                        static_cast<std::size_t>(array.nbytes()));
  HuBuffer buffer(static_cast<std::size_t>(array.size()), "the array");
  {
    const py::gil_scoped_release no_gil;
    append_elements(bytes, element, false, buffer);
  }
  if (buffer.not_finite() > 0) {
    throw Error(Errc::scan, "the array holds " + std::to_string(buffer.not_finite()) +
                                " values that are no finite number; replace them before the run");
  }
  volume.hu = buffer.hu();
  volume.storage = buffer.storage();
}

// int16 voxels are used where they lie; everything else is converted once.
Volume scan_of(const py::array& given, const Geometry& geometry, std::string series_uid,
               std::string path) {
  const std::optional<Element> element = element_of(given.dtype());
  if (!element) {
    throw Error(Errc::scan, "the array is of type " + py::str(given.dtype()).cast<std::string>() +
                                "; expected integers or floats in HU");
  }
  if (given.ndim() != 3 || given.shape(0) != geometry.shape.index ||
      given.shape(1) != geometry.shape.row || given.shape(2) != geometry.shape.col) {
    throw Error(Errc::scan, "the array's shape is not the geometry's");
  }
  const py::array array = py::array::ensure(given, py::array::c_style);
  Volume volume{geometry, {}, {}, std::move(series_uid), std::move(path), {}};
  if (*element == Element::int16) {
    volume.hu = std::span(static_cast<const std::int16_t*>(array.data()),
                          static_cast<std::size_t>(array.size()));
    volume.storage = held_by_cpp(array);
  } else {
    convert(array, *element, volume);
  }
  return volume;
}

template <class T>
py::array_t<T> shaped(const std::vector<T>& values, const Geometry& g) {
  return py::array_t<T>({g.shape.index, g.shape.row, g.shape.col}, values.data());
}

Region region_of(const std::string& name) {
  if (name == "lungs") return Region::lungs;
  if (name == "off") return Region::off;
  throw Error(Errc::usage, "region is \"" + name + "\"; expected lungs or off");
}

}  // namespace

Precision precision_of(const std::string& name) {
  if (name == "f32") return Precision::f32;
  if (name == "bf16") return Precision::bf16;
  throw Error(Errc::usage, "precision is \"" + name + "\"; expected f32 or bf16");
}

namespace {

Runner make_runner(const std::filesystem::path& bundle, const std::string& engine, int threads,
                   const std::string& region, std::optional<double> threshold,
                   const std::optional<PythonNetworks>& networks, const std::string& version,
                   const std::string& precision) {
  RunnerOptions options{.bundle = bundle,
                        .engine = engine,
                        .precision = precision_of(precision),
                        .threads = threads,
                        .region = region_of(region),
                        .threshold = threshold};
  if (networks) options.callable = callable_engine(engine, version, *networks);
  const py::gil_scoped_release no_gil;
  return Runner(std::move(options));
}

template <class Scan>
Result run(Runner& runner, const Scan& scan, const std::optional<py::function>& progress) {
  const ProgressCallback callback = progress_of(progress);
  const py::gil_scoped_release no_gil;
  return runner.run(scan, callback);
}

py::list selfcheck_list(const std::filesystem::path& bundle, const std::string& engine,
                        int threads) {
  std::vector<Check> checks;
  {
    const py::gil_scoped_release no_gil;
    checks = selfcheck({.bundle = bundle, .engine = engine, .threads = threads});
  }
  py::list list;
  for (const Check& c : checks) {
    py::dict entry;
    entry["model"] = c.model;
    entry["artifact"] = c.artifact;
    entry["engine"] = c.engine;
    entry["check"] = c.check;
    entry["value"] = c.value;
    entry["limit"] = c.limit;
    entry["passed"] = c.passed;
    entry["skipped"] = c.skipped;
    entry["detail"] = c.detail;
    list.append(entry);
  }
  return list;
}

void bind_result(py::module_& m) {
  m.def(
      "read_results",
      [](const std::filesystem::path& path) {
        const py::gil_scoped_release no_gil;
        return read_results(path);
      },
      py::arg("path"), "The results of a file, one object or one a line. Raises DataError.");
  m.def(
      "hu_crc32",
      [](const Volume& scan, int threads) {
        const py::gil_scoped_release no_gil;
        return hu_crc32(scan, {.count = thread_count(threads)});
      },
      py::arg("scan"), py::arg("threads") = 0, "The checksum of a scan's voxels, docs/result.md.");
  m.def("as_line", &as_line, py::arg("json"), "The text of a result in one line.");
  m.def("wants_lines", &wants_lines, py::arg("name"), "Whether a file is to hold JSON Lines.");
  m.def(
      "require_same_scan",
      [](const Result& result, const Volume& scan) {
        const py::gil_scoped_release no_gil;
        require_same_scan(result, scan);
      },
      py::arg("result"), py::arg("scan"), "Raises UsageError naming what differs.");
  py::class_<Result>(m, "Result", "What a run found; masks are made when asked for.")
      .def_property_readonly(
          "lists_candidates",
          [](const Result& r) { return r.candidates.size() == r.candidate_count; })
      .def(
          "to_json", [](const Result& r, bool all) { return to_json(r, {.all_candidates = all}); },
          py::arg("all_candidates"))
      .def(
          "to_csv",
          [](const Result& r, bool all) {
            return csv_header() + to_csv(r, {.all_candidates = all});
          },
          py::arg("all_candidates"))
      .def(
          "to_markups",
          [](const Result& r, bool all) { return to_markups(r, {.all_candidates = all}); },
          py::arg("all_candidates"))
      .def(
          "to_table",
          [](const Result& r, bool all) { return to_table(r, {.all_candidates = all}); },
          py::arg("all_candidates"))
      .def(
          "label_mask",
          [](const Result& r, bool all) {
            return shaped(label_mask(r, listed(r, {.all_candidates = all})), r.geometry);
          },
          py::arg("all_candidates"))
      .def("threshold_mask", [](const Result& r) { return shaped(threshold_mask(r), r.geometry); })
      .def("region_mask", [](const Result& r) { return shaped(region_mask(r), r.geometry); })
      .def(
          "write_label_mask",
          [](const Result& r, const std::filesystem::path& path, bool all) {
            const py::gil_scoped_release no_gil;
            write_label_mask(path, r, {.all_candidates = all});
          },
          py::arg("path"), py::arg("all_candidates"))
      .def(
          "write_region_mask",
          [](const Result& r, const std::filesystem::path& path) {
            const py::gil_scoped_release no_gil;
            write_region_mask(path, r);
          },
          py::arg("path"));
}

}  // namespace

void bind_runner(py::module_& m) {
  m.def("scan_from_array", &scan_of, py::arg("array"), py::arg("geometry"), py::arg("series_uid"),
        py::arg("path"), "A Scan over (index, row, col) HU. Raises ScanError.");
  m.def(
      "check_outputs",
      [](const std::string& json, const std::string& csv, const std::string& mask,
         const std::string& region_mask, const std::string& markups, const std::string& scan,
         const std::filesystem::path& bundle) {
        check_outputs({json, csv, mask, region_mask, markups},
                      scan.empty() ? std::vector<std::filesystem::path>{}
                                   : std::vector<std::filesystem::path>{scan},
                      bundle);
      },
      py::kw_only(), py::arg("json"), py::arg("csv"), py::arg("mask"), py::arg("region_mask"),
      py::arg("markups"), py::arg("scan"), py::arg("bundle"),
      "Empty: not written. Raises UsageError or OutputError.");
  bind_result(m);
  py::class_<Runner>(m, "Runner", "The pipeline over one bundle.")
      .def(py::init(&make_runner), py::kw_only(), py::arg("bundle"), py::arg("engine"),
           py::arg("threads"), py::arg("region"), py::arg("threshold"), py::arg("networks"),
           py::arg("version"), py::arg("precision"))
      .def("run_file", &run<std::filesystem::path>, py::arg("path"), py::arg("progress"))
      .def("run_scan", &run<Volume>, py::arg("scan"), py::arg("progress"));
  m.def("selfcheck", &selfcheck_list, py::arg("bundle"), py::arg("engine"), py::arg("threads"));
}

}  // namespace lunart
