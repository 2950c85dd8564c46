// lunart._core.Classifier and pictures. Python's lunart.Classifier is a thin layer over it.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include "bundle/bundle.hpp"
#include "image/preprocess.hpp"
#include "lunart/classifier.hpp"
#include "module.hpp"
#include "python/callable_network.hpp"
#include "python/signal_tick.hpp"
#include "python/tensors.hpp"

namespace py = pybind11;

namespace lunart {
namespace {

using ByteArray = py::array_t<std::uint8_t, py::array::c_style>;

Image image_of(const ByteArray& array, std::string path) {
  if (array.ndim() != 3 || array.shape(2) != 3) {
    throw Error(Errc::scan, "the array is not (rows, cols, 3)");
  }
  return {.rows = array.shape(0),
          .cols = array.shape(1),
          .rgb = {array.data(), array.data() + array.size()},
          .path = std::move(path)};
}

ByteArray rgb_of(const Image& image) {
  return ByteArray(std::vector<py::ssize_t>{image.rows, image.cols, 3}, image.rgb.data());
}

std::vector<std::pair<std::string, std::string>> warnings_of(const Image& image) {
  std::vector<std::pair<std::string, std::string>> list;
  for (const Warning& w : image.warnings) list.emplace_back(w.code, w.text);
  return list;
}

Classifier make_classifier(const std::filesystem::path& bundle, const std::string& engine,
                           int threads, const std::optional<PythonNetworks>& networks,
                           const std::string& version, const std::string& precision) {
  ClassifierOptions options{
      .bundle = bundle, .engine = engine, .precision = precision_of(precision), .threads = threads};
  if (networks) options.callable = callable_engine(engine, version, *networks);
  const py::gil_scoped_release no_gil;
  return Classifier(options);
}

FloatArray preprocessed(const std::filesystem::path& folder, const Image& image) {
  const Bundle bundle = open_bundle(folder);
  require_task(bundle, BundleTask::image_classification);
  const PreprocessOptions& options = bundle.manifest.images.preprocess;
  const ImageSize size = size_after(options, {image.rows, image.cols});
  FloatArray out(std::vector<py::ssize_t>{3, size.rows, size.cols});
  const std::span<float> to(out.mutable_data(), static_cast<std::size_t>(out.size()));
  const py::gil_scoped_release no_gil;
  preprocess(image, options, to);
  return out;
}

}  // namespace

void bind_classifier(py::module_& m) {
  py::class_<Image>(m, "Image", "A picture in 8-bit RGB, as decoded.")
      .def(py::init(&image_of), py::arg("rgb"), py::arg("path") = "",
           "Copies (rows, cols, 3) uint8. Raises ScanError for another shape.")
      .def_property_readonly("rgb", &rgb_of, "(rows, cols, 3) uint8, a copy.")
      .def_readonly("path", &Image::path)
      .def_readonly("rows", &Image::rows)
      .def_readonly("cols", &Image::cols)
      .def_property_readonly("warnings", &warnings_of, "What the reader did: (code, text).");
  m.def(
      "read_image",
      [](const std::filesystem::path& path) {
        const py::gil_scoped_release no_gil;
        return read_image(path);
      },
      py::arg("path"), "Reads a PNG, or a JPEG where libjpeg is. Raises ScanError.");
  m.def("preprocessed", &preprocessed, py::arg("bundle"), py::arg("image"),
        "(3, rows, cols) float32, as the bundle's network sees the picture.");

  py::class_<Classification>(m, "Classification", "What a picture shows.")
      .def("to_json", [](const Classification& c) { return to_json(c); })
      .def("to_table", [](const Classification& c) { return to_table(c); });
  py::class_<Classifier>(m, "Classifier", "An image classifier over one bundle.")
      .def(py::init(&make_classifier), py::kw_only(), py::arg("bundle"), py::arg("engine"),
           py::arg("threads"), py::arg("networks"), py::arg("version"), py::arg("precision"))
      .def("require_fits", &Classifier::require_fits, py::arg("image"),
           "Raises ScanError when the network takes no picture of this size.")
      .def(
          "classify",
          [](Classifier& classifier, const std::vector<Image>& images) {
            const Tick tick = signal_tick();
            const py::gil_scoped_release no_gil;
            return classifier.classify(images, tick);
          },
          py::arg("images"));
}

}  // namespace lunart
