// lunart._core: geometry, the scan readers, and the writers of volumes and files.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <array>
#include <bit>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "io/atomic_file.hpp"
#include "io/metaimage_write.hpp"
#include "lunart/error.hpp"
#include "lunart/volume.hpp"
#include "read_choices.hpp"
#include "signal_tick.hpp"

namespace py = pybind11;

namespace lunart {
namespace {

using Triple = std::array<double, 3>;

Triple triple(const Xyz& v) {
  return {v.x, v.y, v.z};
}
Triple triple(const Irc& v) {
  return {v.index, v.row, v.col};
}
py::tuple as_tuple(const Triple& v) {
  return py::make_tuple(v[0], v[1], v[2]);
}
py::tuple shape_of(const Geometry& g) {
  return py::make_tuple(g.shape.index, g.shape.row, g.shape.col);
}
py::tuple direction_of(const Geometry& g) {
  return py::tuple(py::cast(g.direction));
}

Geometry geometry_of(const std::array<std::int64_t, 3>& shape, const Triple& spacing,
                     const Triple& origin, const std::array<double, 9>& direction) {
  Geometry g{.shape = {.index = shape[0], .row = shape[1], .col = shape[2]},
             .spacing = {spacing[0], spacing[1], spacing[2]},
             .origin = {origin[0], origin[1], origin[2]},
             .direction = direction};
  g.validate("geometry");
  return g;
}

// A read-only view of the voxels that keeps them alive.
py::array hu_of(const Volume& volume) {
  return std::visit(
      [&](const auto& voxels) {
        using T = std::decay_t<decltype(voxels)>::value_type;
        auto owner = std::make_unique<std::shared_ptr<const void>>(volume.storage);
        const py::capsule base(owner.get(), [](void* storage) {
          delete static_cast<std::shared_ptr<const void>*>(storage);
        });
        // The capsule's now. NOLINTNEXTLINE(bugprone-unused-return-value)
        static_cast<void>(owner.release());
        const IrcIndex& n = volume.geometry.shape;
        py::array view(py::dtype::of<T>(), {n.index, n.row, n.col}, voxels.data(), base);
        view.attr("setflags")(py::arg("write") = false);
        return view;
      },
      volume.hu);
}

// What MetaImage calls the elements of an array that can be written.
std::string_view element_type_of(const py::array& array) {
  if (array.dtype().equal(py::dtype::of<std::uint8_t>())) return "MET_UCHAR";
  if (array.dtype().equal(py::dtype::of<std::uint16_t>())) return "MET_USHORT";
  if (array.dtype().equal(py::dtype::of<std::uint32_t>())) return "MET_UINT";
  if (array.dtype().equal(py::dtype::of<std::int16_t>())) return "MET_SHORT";
  throw Error(Errc::usage, "voxels of type " + py::str(array.dtype()).cast<std::string>() +
                               " cannot be written: uint8, uint16, uint32 or int16");
}

void write_array(const std::filesystem::path& path, const py::array& array, const Triple& spacing,
                 const Triple& origin, const std::array<double, 9>& direction) {
  const std::string_view element_type = element_type_of(array);
  if (array.ndim() != 3) {
    throw Error(Errc::usage, "an array of " + std::to_string(array.ndim()) +
                                 " dimensions cannot be written: (index, row, col)");
  }
  const Geometry geometry =
      geometry_of({array.shape(0), array.shape(1), array.shape(2)}, spacing, origin, direction);
  const py::array contiguous = py::array::ensure(array, py::array::c_style);
  const std::span voxels(static_cast<const std::byte*>(contiguous.data()),
                         static_cast<std::size_t>(contiguous.nbytes()));
  const py::gil_scoped_release no_gil;
  write_metaimage(path, geometry, element_type, voxels, signal_tick());
}

template <class T>
void bind_geometry_properties(py::class_<T>& type) {
  type.def_property_readonly("shape_irc", [](const T& v) { return shape_of(v.geometry); })
      .def_property_readonly("spacing_mm",
                             [](const T& v) { return as_tuple(triple(v.geometry.spacing)); })
      .def_property_readonly("origin_mm",
                             [](const T& v) { return as_tuple(triple(v.geometry.origin)); })
      .def_property_readonly("direction", [](const T& v) { return direction_of(v.geometry); })
      .def_readonly("geometry", &T::geometry)
      .def_readonly("series_uid", &T::series_uid);
}

}  // namespace

void bind_io(py::module_& m) {
  py::class_<Geometry>(m, "Geometry",
                       "Where the voxels of a scan are: (index, row, col) and LPS millimetres.")
      .def(py::init(&geometry_of), py::kw_only(), py::arg("shape_irc"), py::arg("spacing_mm"),
           py::arg("origin_mm") = Triple{0, 0, 0},
           py::arg("direction") = std::array<double, 9>{1, 0, 0, 0, 1, 0, 0, 0, 1},
           "Raises ScanError for an absurd shape, spacing, origin or direction.")
      .def_property_readonly("shape_irc", &shape_of)
      .def_property_readonly("spacing_mm",
                             [](const Geometry& g) { return as_tuple(triple(g.spacing)); })
      .def_property_readonly("origin_mm",
                             [](const Geometry& g) { return as_tuple(triple(g.origin)); })
      .def_property_readonly("direction", &direction_of)
      .def_property_readonly("voxel_mm3", &Geometry::voxel_mm3)
      .def(
          "to_xyz",
          [](const Geometry& g, const Triple& irc) {
            return as_tuple(triple(g.to_xyz({irc[0], irc[1], irc[2]})));
          },
          py::arg("irc"), "Millimetres (x, y, z), LPS, of a place (index, row, col).")
      .def(
          "to_irc",
          [](const Geometry& g, const Triple& xyz) {
            return as_tuple(triple(g.to_irc({xyz[0], xyz[1], xyz[2]})));
          },
          py::arg("xyz"), "The inverse of to_xyz.");

  py::class_<Volume> scan(m, "Scan", "A CT scan in Hounsfield units, as stored.");
  bind_geometry_properties(scan);
  scan.def_property_readonly("hu", &hu_of,
                             "(index, row, col), int16 where that is exact, else float32; a "
                             "read-only view without a copy.")
      .def_readonly("path", &Volume::path)
      .def_property_readonly(
          "warnings",
          [](const Volume& v) {
            std::vector<std::pair<std::string, std::string>> list;
            for (const Warning& w : v.warnings) list.emplace_back(w.code, w.text);
            return list;
          },
          "What its reader mended or left out: (code, text).");

  py::class_<ScanHeader> header(m, "ScanHeader", "A scan's header, without its voxels.");
  bind_geometry_properties(header);
  header.def_readonly("element_type", &ScanHeader::element_type)
      .def_readonly("compressed", &ScanHeader::compressed);

  m.def(
      "read_scan",
      [](const std::filesystem::path& path, const std::string& series_uid,
         const std::string& on_gap, const std::string& on_tilt, const std::string& on_duplicate) {
        const py::gil_scoped_release no_gil;
        return read_scan(path, read_options_of(series_uid, on_gap, on_tilt, on_duplicate),
                         signal_tick());
      },
      py::arg("path"), py::kw_only(), py::arg("series_uid") = "", py::arg("on_gap") = "refuse",
      py::arg("on_tilt") = "refuse", py::arg("on_duplicate") = "refuse",
      "Reads a scan as luna_infer does: MetaImage (.mhd, .mha), and what the build's ITK module "
      "reads. Raises ScanError or UsageError.");
  m.def(
      "read_scan_header", [](const std::filesystem::path& path) { return read_scan_header(path); },
      py::arg("path"), "Reads a scan's header. Raises ScanError.");
  m.def("write_metaimage", &write_array, py::arg("path"), py::arg("array"), py::arg("spacing"),
        py::arg("origin"), py::arg("direction"),
        "Writes (index, row, col) voxels (uint8, uint16, uint32, int16) as .mhd and .zraw, or "
        ".mha. Raises UsageError, ScanError (geometry) or OutputError.");
  m.def(
      "write_file_atomically",
      [](const std::filesystem::path& path, const std::string& content) {
        const py::gil_scoped_release no_gil;
        write_file_atomically(path, content);
      },
      py::arg("path"), py::arg("content"),
      "Writes str or bytes to a temporary file that is renamed: whole or absent. Raises "
      "OutputError.");
}

}  // namespace lunart
