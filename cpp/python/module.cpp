// The extension module lunart._core: the C++ core as Python sees it. One binding file a subject.
#include <pybind11/pybind11.h>

#include <string_view>

#include "lunart/error.hpp"
#include "lunart/runner.hpp"
#include "module.hpp"

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
    case Errc::interrupted:
    case Errc::internal: break;
  }
  return "LunartError";
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
  lunart::bind_io(m);
  lunart::bind_network(m);
  lunart::bind_pipeline(m);
  lunart::bind_runner(m);
}
