// The extension module lunart._core: the C++ core as Python sees it. One binding file a subject.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <string_view>

#include "lunart/error.hpp"
#include "lunart/runner.hpp"
#include "module.hpp"
#include "threads.hpp"

namespace py = pybind11;

namespace lunart {
namespace {

const char* class_of(Errc code) {
  switch (code) {
    case Errc::usage: return "UsageError";
    case Errc::scan: return "ScanError";
    case Errc::bundle: return "BundleError";
    case Errc::engine: return "EngineError";
    case Errc::check: return "CheckError";
    case Errc::output: return "OutputError";
    case Errc::data: return "DataError";
    case Errc::interrupted:
    case Errc::internal: break;
  }
  return "LunartError";
}

// By rising code.
std::vector<std::pair<int, std::string>> exit_codes() {
  std::vector<std::pair<int, std::string>> list;
  for (const Errc code : {Errc::internal, Errc::usage, Errc::scan, Errc::bundle, Errc::engine,
                          Errc::check, Errc::output, Errc::data, Errc::interrupted}) {
    list.emplace_back(exit_code(code), sentence(code));
  }
  return list;
}

// By value, as pybind11 hands it over.
void translate(std::exception_ptr pointer) {  // NOLINT(performance-unnecessary-value-param)
  try {
    if (pointer) std::rethrow_exception(pointer);
  } catch (const Error& error) {
    if (error.code() == Errc::interrupted) {
      PyErr_SetString(PyExc_KeyboardInterrupt, error.what());
      return;
    }
    const py::object type = py::module_::import("lunart.errors").attr(class_of(error.code()));
    // A message may quote a file name or a file's bytes, which need not be UTF-8.
    const std::string_view text = error.what();
    const auto message = py::reinterpret_steal<py::object>(
        PyUnicode_DecodeUTF8(text.data(), static_cast<py::ssize_t>(text.size()), "replace"));
    PyErr_SetObject(type.ptr(), message.ptr());
  }
}

}  // namespace
}  // namespace lunart

PYBIND11_MODULE(_core, m) {
  m.doc() = "The C++ core of lunart: scans, the pipeline, engines.";
  m.attr("__version__") = std::string(lunart::version());
  py::register_local_exception_translator(lunart::translate);
  m.def(
      "usable_processors",
      [](const std::filesystem::path& root) { return lunart::usable_processors(root); },
      py::arg("root") = "/",
      "Processors that this process may use: affinity and control groups' CPU quota.");
  m.def("thread_count", &lunart::thread_count, py::arg("wanted"),
        "The threads of a run; 0 becomes every processor this process may use. Raises UsageError.");
  m.def("exit_codes", &lunart::exit_codes,
        "Every kind of error: (exit code of a program, sentence).");
  lunart::bind_bench(m);
  lunart::bind_classifier(m);
  lunart::bind_dicom(m);
  lunart::bind_io(m);
  lunart::bind_network(m);
  lunart::bind_pipeline(m);
  lunart::bind_runner(m);
}
