// lunart._core: the rules of DICOM series, for lunart.reading, which has pydicom.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "dicom/assemble.hpp"
#include "dicom/plan.hpp"
#include "dicom/series.hpp"
#include "lunart/error.hpp"
#include "module.hpp"
#include "read_choices.hpp"

namespace py = pybind11;

namespace lunart {
namespace {

using dicom::Assembler;
using dicom::Instance;
using dicom::Plan;
using dicom::PlannedSlice;
using dicom::Series;
using dicom::Stored;
using dicom::StoredSlice;
using dicom::VolumeSlice;

Plan plan_of(const std::vector<Instance>& instances, const std::string& source,
             const std::string& series, const std::string& on_gap, const std::string& on_tilt,
             const std::string& on_duplicate, const std::vector<std::string>& damaged) {
  const ReadOptions options = read_options_of(series, on_gap, on_tilt, on_duplicate);
  return dicom::make_plan(instances, {.source = source,
                                      .series = options.series,
                                      .on_gap = options.on_gap,
                                      .on_tilt = options.on_tilt,
                                      .on_duplicate = options.on_duplicate,
                                      .damaged = damaged});
}

template <class T>
std::span<const T> pixels_of(const py::array& array) {
  return {static_cast<const T*>(array.data()), static_cast<std::size_t>(array.size())};
}

// `array` is contiguous, and outlives what is returned.
Stored stored_of(const py::array& array) {
  if (array.dtype().equal(py::dtype::of<std::int8_t>())) return pixels_of<std::int8_t>(array);
  if (array.dtype().equal(py::dtype::of<std::uint8_t>())) return pixels_of<std::uint8_t>(array);
  if (array.dtype().equal(py::dtype::of<std::int16_t>())) return pixels_of<std::int16_t>(array);
  if (array.dtype().equal(py::dtype::of<std::uint16_t>())) return pixels_of<std::uint16_t>(array);
  if (array.dtype().equal(py::dtype::of<std::int32_t>())) return pixels_of<std::int32_t>(array);
  if (array.dtype().equal(py::dtype::of<std::uint32_t>())) return pixels_of<std::uint32_t>(array);
  throw Error(Errc::scan, "stored pixels of type " + py::str(array.dtype()).cast<std::string>());
}

// Slices, one at a time, become a scan.
class Slices {
 public:
  explicit Slices(const Plan& plan) : assembler_(std::make_unique<Assembler>(plan)) {}

  void append(const py::array& array) {
    const py::array contiguous = py::array::ensure(array, py::array::c_style);
    const Stored stored = stored_of(contiguous);
    Assembler& open = assembler();
    const py::gil_scoped_release no_gil;
    open.append(stored);
  }

  void compare(const py::array& array) {
    const py::array contiguous = py::array::ensure(array, py::array::c_style);
    const Stored stored = stored_of(contiguous);
    Assembler& open = assembler();
    const py::gil_scoped_release no_gil;
    open.compare(stored);
  }

  Volume finish() {
    Volume volume = std::move(assembler()).finish();
    assembler_.reset();
    return volume;
  }

 private:
  Assembler& assembler() {
    if (!assembler_) throw Error(Errc::usage, "the volume is finished");
    return *assembler_;
  }

  std::unique_ptr<Assembler> assembler_;
};

std::vector<std::pair<std::string, std::string>> pairs_of(const std::vector<Warning>& warnings) {
  std::vector<std::pair<std::string, std::string>> list;
  list.reserve(warnings.size());
  for (const Warning& w : warnings) list.emplace_back(w.code, w.text);
  return list;
}

}  // namespace

void bind_dicom(py::module_& m) {
  py::class_<Instance>(m, "DicomInstance", "One file's tags, or one frame's, as text.")
      .def(py::init(
               [](std::string file, std::int64_t frame, std::map<dicom::Tag, std::string> tags) {
                 return Instance{.file = std::move(file), .frame = frame, .tags = std::move(tags)};
               }),
           py::kw_only(), py::arg("file"), py::arg("frame") = 0, py::arg("tags"))
      .def_readonly("file", &Instance::file)
      .def_readonly("frame", &Instance::frame);

  py::class_<Series>(m, "DicomSeries", "What can be chosen in a folder.")
      .def_readonly("id", &Series::id)
      .def_readonly("series_uid", &Series::series_uid)
      .def_readonly("description", &Series::description)
      .def_readonly("detail", &Series::detail)
      .def_readonly("modality", &Series::modality)
      .def_readonly("slices", &Series::slices)
      .def_readonly("rows", &Series::rows)
      .def_readonly("cols", &Series::cols)
      .def_property_readonly(
          "spacing_mm",
          [](const Series& s) { return py::make_tuple(s.spacing.x, s.spacing.y, s.spacing.z); })
      .def_readonly("unusable", &Series::unusable);

  py::class_<StoredSlice>(m, "DicomStoredSlice", "Pixels to be decoded.")
      .def_readonly("instance", &StoredSlice::instance)
      .def_readonly("slope", &StoredSlice::slope)
      .def_readonly("intercept", &StoredSlice::intercept)
      .def_readonly("name", &StoredSlice::name);
  py::class_<PlannedSlice, StoredSlice>(m, "DicomSlice", "A slice, and others at its place.")
      .def_readonly("place", &PlannedSlice::place)
      .def_readonly("twins", &PlannedSlice::twins);

  py::class_<Plan>(m, "DicomPlan", "A series' slices in order, and its geometry.")
      .def_readonly("geometry", &Plan::geometry)
      .def_readonly("series_uid", &Plan::series_uid)
      .def_readonly("slices", &Plan::slices)
      .def_property_readonly("is_resampled", &Plan::is_resampled)
      .def_property_readonly("volume",
                             [](const Plan& p) {
                               std::vector<std::tuple<std::size_t, std::size_t, double>> list;
                               list.reserve(p.volume.size());
                               for (const VolumeSlice& v : p.volume) {
                                 list.emplace_back(v.lower, v.upper, v.weight);
                               }
                               return list;
                             })
      .def_property_readonly("warnings", [](const Plan& p) { return pairs_of(p.warnings); });

  py::class_<Slices>(m, "DicomVolume",
                     "Takes a plan's slices one at a time; their pixels as stored.")
      .def(py::init<const Plan&>(), py::arg("plan"))
      .def("append", &Slices::append, py::arg("stored"))
      .def("compare", &Slices::compare, py::arg("stored"))
      .def("finish", &Slices::finish);

  m.def(
      "dicom_tags",
      [] {
        const auto tags = dicom::wanted_tags();
        return std::vector<dicom::Tag>(tags.begin(), tags.end());
      },
      "The elements that the rules look at: 0xggggeeee.");
  m.def(
      "dicom_series",
      [](const std::vector<Instance>& instances) { return dicom::series_of(instances); },
      py::arg("instances"), "Usable series first.");
  m.def(
      "dicom_series_text",
      [](const std::vector<Series>& series) { return dicom::list_text(series); },
      py::arg("series"));
  m.def("dicom_plan", &plan_of, py::arg("instances"), py::kw_only(), py::arg("source"),
        py::arg("series") = "", py::arg("on_gap") = "refuse", py::arg("on_tilt") = "refuse",
        py::arg("on_duplicate") = "refuse", py::arg("damaged") = std::vector<std::string>{},
        "Raises ScanError or UsageError.");
}

}  // namespace lunart
