// lunart._core: single stages of the pipeline, which tests compare with their oracles.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>

#include "bundle/sha256.hpp"
#include "lunart/error.hpp"
#include "module.hpp"
#include "pipeline/classify.hpp"
#include "pipeline/group.hpp"
#include "pipeline/masks.hpp"
#include "pipeline/orientation.hpp"
#include "pipeline/region.hpp"
#include "pipeline/segment.hpp"
#include "python/tensors.hpp"

namespace py = pybind11;

namespace lunart {
namespace {

using ByteArray = py::array_t<std::uint8_t, py::array::c_style | py::array::forcecast>;

RunMask runs_of(const ByteArray& mask, const IrcIndex& shape) {
  if (mask.ndim() != 3 || mask.shape(0) != shape.index || mask.shape(1) != shape.row ||
      mask.shape(2) != shape.col) {
    throw Error(Errc::usage, "the mask has not the scan's shape");
  }
  RunMask runs(shape);
  const std::uint8_t* line = mask.data();
  for (std::int64_t i = 0; i < shape.index; ++i) {
    for (std::int64_t r = 0; r < shape.row; ++r, line += shape.col) {
      for (std::int32_t c = 0; c < shape.col; ++c) {
        if (line[c] == 0) continue;
        const std::int32_t begin = c;
        while (c < shape.col && line[c] != 0) ++c;
        runs.append(i, r, {begin, c});
      }
    }
  }
  return runs;
}

template <class T>
py::array_t<T> shaped(const std::vector<T>& values, const IrcIndex& n) {
  return py::array_t<T>({n.index, n.row, n.col}, values.data());
}

py::tuple group_mask(const Volume& scan, const ByteArray& mask, int erosion,
                     double min_component_mm3) {
  const IrcIndex n = scan.geometry.shape;
  const Grouped grouped =
      group(runs_of(mask, n), scan, {.erosion = erosion, .min_component_mm3 = min_component_mm3});
  py::list components;
  for (const Component& c : grouped.components) {
    py::dict entry;
    entry["label"] = c.label;
    entry["center_irc"] = py::make_tuple(c.center.index, c.center.row, c.center.col);
    entry["voxels"] = c.voxels;
    entry["volume_mm3"] = c.volume_mm3;
    components.append(entry);
  }
  const Masks masks{Orientation{}, n, grouped.runs, std::nullopt};
  const auto labels = painted<std::uint32_t>(masks, [](std::uint32_t label) { return label; });
  return py::make_tuple(components, shaped(labels, n));
}

FloatArray slice_input(const Volume& scan, std::int64_t index, int context_slices) {
  const IrcIndex n = scan.geometry.shape;
  if (index < 0 || index >= n.index || context_slices < 0) {
    throw Error(Errc::usage, "slice " + std::to_string(index) + " with " +
                                 std::to_string(context_slices) +
                                 " on each side is not in a scan of " + std::to_string(n.index));
  }
  std::vector<float> input;
  fill_input(scan, index, {0, 0, n.row, n.col}, {.context_slices = context_slices}, input);
  const std::array<std::int64_t, 3> shape{2 * context_slices + 1, n.row, n.col};
  return to_numpy(shape, input);
}

FloatArray crop(const Volume& scan, const std::array<double, 3>& centre,
                const std::array<std::int64_t, 3>& size, bool pad,
                std::optional<double> spacing_mm) {
  for (const std::int64_t n : size) {
    if (n < 1 || n > 512) throw Error(Errc::usage, "a crop of " + std::to_string(n) + " voxels");
  }
  for (const double at : centre) {
    if (!std::isfinite(at)) throw Error(Errc::usage, "a crop around " + std::to_string(at));
  }
  if (spacing_mm && !(*spacing_mm > 0 && std::isfinite(*spacing_mm))) {
    throw Error(Errc::usage, "a crop's spacing of " + std::to_string(*spacing_mm) + " mm");
  }
  std::vector<float> voxels(static_cast<std::size_t>(size[0] * size[1] * size[2]));
  copy_crop(scan, {centre[0], centre[1], centre[2]},
            {.crop = {size[0], size[1], size[2]},
             .border = pad ? CropBorder::pad : CropBorder::shift,
             .spacing_mm = spacing_mm},
            voxels.data());
  return to_numpy(size, voxels);
}

// index, row, col, rows, cols
using BoundBox = std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t>;

std::vector<BoundBox> boxes_around(const ByteArray& cells, const std::array<std::int64_t, 3>& scan,
                                   const std::array<std::int64_t, 3>& block, int multiple_of,
                                   int halo) {
  const auto sizes = {scan[0], scan[1], scan[2], block[0], block[1], block[2]};
  if (std::ranges::min(sizes) < 1 || multiple_of < 1 || halo < 0) {
    throw Error(Errc::usage, "boxes need sizes of at least 1");
  }
  LungRegion region({scan[0], scan[1], scan[2]}, {block[0], block[1], block[2]});
  if (static_cast<std::size_t>(cells.size()) != region.cells.size()) {
    throw Error(Errc::usage, "the region has not as many cells as the scan");
  }
  std::copy_n(cells.data(), cells.size(), region.cells.begin());
  std::vector<BoundBox> found;
  for (const auto& [index, b] :
       slice_boxes(region.scan_shape, region, {.multiple_of = multiple_of, .halo = halo})) {
    found.emplace_back(index, b.row, b.col, b.rows, b.cols);
  }
  return found;
}

py::array_t<std::uint8_t> lung_region(const Volume& scan, int threads) {
  const Masks masks{
      Orientation{}, scan.geometry.shape, {}, find_lung_region(scan, RegionOptions{}, threads, {})};
  Result result;
  result.geometry = scan.geometry;
  result.masks = std::make_shared<const Masks>(masks);
  return shaped(region_mask(result), scan.geometry.shape);
}

}  // namespace

void bind_pipeline(py::module_& m) {
  m.def(
      "region_defaults",
      [] {
        const RegionOptions o;
        py::dict settings;
        settings["air_hu"] = o.air_hu;
        settings["outside_hu"] = o.outside_hu;
        settings["grid_mm"] = o.grid_mm;
        settings["closing_mm"] = o.closing_mm;
        settings["margin_mm"] = o.margin_mm;
        settings["min_lung_ml"] = o.min_lung_ml;
        settings["max_hole_mm"] = o.max_hole_mm;
        return settings;
      },
      "The lung region's settings, as a manifest has them.");
  m.def(
      "group", &group_mask, py::arg("scan"), py::arg("mask"), py::arg("erosion"),
      py::arg("min_component_mm3"),
      "Components of a mask: (list of label, center_irc, voxels, volume_mm3; labels grown back).");
  m.def("slice_input", &slice_input, py::arg("scan"), py::arg("index"), py::arg("context_slices"),
        "What the segmentation network sees of a whole slice: (slices, rows, cols), clamped HU.");
  m.def(
      "sha256",
      [](const py::bytes& data, bool portable) {
        const std::string_view text = data;
        return sha256(std::as_bytes(std::span(text)),
                      portable ? sha256_blocks_anywhere : sha256_blocks());
      },
      py::arg("data"), py::arg("portable") = false,
      "SHA-256 in hexadecimal; portable: without the processor's instructions for it.");
  m.def("crop", &crop, py::arg("scan"), py::arg("center_irc"), py::arg("crop_irc"),
        py::arg("pad") = false, py::arg("spacing_mm") = py::none(),
        "What a 3-D network sees around a centre: (index, row, col), clamped HU.");
  m.def("boxes_around", &boxes_around, py::arg("cells"), py::arg("scan_irc"), py::arg("block_irc"),
        py::arg("multiple_of") = 4, py::arg("halo") = 24,
        "What is segmented for a region of cells (blocks of voxels): (index, row, col, rows, cols) "
        "of each box.");
  m.def("lung_region", &lung_region, py::arg("scan"), py::arg("threads") = 1,
        "The lung region of a scan in LPS orientation with default settings: uint8, 1 inside.");
  m.def(
      "oriented", [](const Volume& scan) { return orient(scan, nearest_lps(scan.geometry), {}); },
      py::arg("scan"), "The scan as the networks see it: axes flipped and permuted to LPS.");
}

}  // namespace lunart
