// lunart._core.Network: one artifact of a bundle through its native engine, for verification.
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
               const std::string& artifact, int threads) {
    const Bundle bundle = open_bundle(folder);
    if (!bundle.manifest.models.contains(model)) {
      throw Error(Errc::bundle, folder.string() + ": has no model \"" + model + "\"");
    }
    Choice choice = choose_engine(artifact, bundle, thread_count(threads));
    const ArtifactEntry& entry = choose_artifact(bundle, model, choice.artifacts);
    engine_ = std::move(choice.engine);
    run_ = engine_->load(bundle.path_of(entry));
  }

  std::vector<FloatArray> operator()(const FloatArray& input) const {
    const Tensor tensor = to_tensor(input);
    std::vector<Tensor> outputs;
    {
      const py::gil_scoped_release no_gil;
      outputs = run_({tensor.shape, tensor.data});
    }
    std::vector<FloatArray> arrays;
    for (const Tensor& output : outputs) arrays.push_back(to_numpy(output.shape, output.data));
    return arrays;
  }

 private:
  std::unique_ptr<Engine> engine_;  // outlives run_
  NetworkFunction run_;
};

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
  py::class_<BoundNetwork>(m, "Network", "One artifact of a bundle, run by its native engine.")
      .def(py::init<const std::filesystem::path&, const std::string&, const std::string&, int>(),
           py::arg("bundle"), py::arg("model"), py::arg("artifact"), py::arg("threads") = 0,
           "Raises BundleError or EngineError.")
      .def("__call__", &BoundNetwork::operator(), py::arg("input"),
           "The outputs, in the manifest's order, of one batch.");
}

}  // namespace lunart
