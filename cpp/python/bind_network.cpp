// lunart._core.Network: one model of a bundle through a native engine, for verification.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include "bundle/bundle.hpp"
#include "bundle/sha256.hpp"
#include "engines/registry.hpp"
#include "lunart/error.hpp"
#include "module.hpp"
#include "python/tensors.hpp"
#include "threads.hpp"

namespace py = pybind11;

namespace lunart {
namespace {

class BoundNetwork {
 public:
  BoundNetwork(const std::filesystem::path& folder, const std::string& model,
               const std::string& engine, int threads, const std::string& precision) {
    const Bundle bundle = open_bundle(folder);
    loaded_ = load_network(engine, bundle, model,
                           {.threads = thread_count(threads),
                            .precision = precision_of(precision),
                            .made_by_torch = bundle.manifest.torch_version});
  }

  std::vector<FloatArray> operator()(const FloatArray& input) const {
    const std::vector<std::int64_t> shape(input.shape(), input.shape() + input.ndim());
    const std::span<const float> data(input.data(), static_cast<std::size_t>(input.size()));
    std::vector<Tensor> outputs;
    {
      const py::gil_scoped_release no_gil;
      outputs = loaded_.network.run({shape, data});
    }
    std::vector<FloatArray> arrays;
    for (const Tensor& output : outputs) arrays.push_back(to_numpy(output.shape, output.data));
    return arrays;
  }

  [[nodiscard]] int lanes() const { return loaded_.network.lanes; }
  [[nodiscard]] std::size_t batch() const { return loaded_.network.batch; }

 private:
  LoadedNetwork loaded_;
};

py::dict to_dict(const EngineStatus& status) {
  py::list precisions;
  for (const Precision p : status.precisions) precisions.append(std::string(to_string(p)));
  py::dict dict;
  dict["name"] = status.name;
  dict["artifacts"] = status.artifacts;
  dict["precisions"] = precisions;
  dict["built"] = status.built;
  dict["supported"] = status.supported;
  dict["version"] = status.version;
  dict["why_not"] = status.why_not;
  return dict;
}

}  // namespace

void bind_network(py::module_& m) {
  m.def(
      "check_bundle",
      [](const std::filesystem::path& folder) {
        const py::gil_scoped_release no_gil;
        return open_bundle(folder).sha256;
      },
      py::arg("bundle"),
      "The SHA-256 of a bundle's manifest. Raises BundleError when anything is wrong with it.");
  m.def("sha256_of_file", &sha256_of_file, py::arg("path"),
        "In hexadecimal. Raises BundleError when the file cannot be read.");
  m.def(
      "engines",
      [](const std::optional<std::string>& name) {
        py::list all;
        for (const EngineEntry& entry : engine_list()) {
          if (!name || *name == entry.name) all.append(to_dict(status_of(entry)));
        }
        return all;
      },
      py::arg("name") = py::none(),
      "The native engines in the order of auto: what runs here, or why it does not. With a name\n"
      "only that one, and no other library is opened.");
  m.def("wanted_engine", &wanted_engine, py::arg("name"),
        "The engine that is meant: LUNART_ENGINE, where it is set, instead of auto.");
  py::class_<BoundNetwork>(m, "Network", "One model of a bundle in a native engine.")
      .def(py::init<const std::filesystem::path&, const std::string&, const std::string&, int,
                    const std::string&>(),
           py::arg("bundle"), py::arg("model"), py::arg("engine"), py::arg("threads") = 0,
           py::arg("precision") = "f32", "Raises BundleError or EngineError.")
      .def_property_readonly("lanes", &BoundNetwork::lanes,
                             "The threads that may call it at once, and should.")
      .def_property_readonly("batch", &BoundNetwork::batch, "Crops a call that suit it best.")
      .def("__call__", &BoundNetwork::operator(), py::arg("input"),
           "The outputs, in the manifest's order, of one batch.");
}

}  // namespace lunart
