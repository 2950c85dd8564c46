// What each binding file adds to lunart._core.
#pragma once

#include <pybind11/pybind11.h>

#include <string>

#include "lunart/runner.hpp"

namespace lunart {

void bind_bench(pybind11::module_& m);       // what luna-bench needs besides
void bind_classifier(pybind11::module_& m);  // pictures and what they show
void bind_dicom(pybind11::module_& m);       // which DICOM files make a scan
void bind_io(pybind11::module_& m);          // scans, geometry, files
void bind_network(pybind11::module_& m);     // engines, one model of a bundle
void bind_pipeline(pybind11::module_& m);    // single stages, for tests and training data
void bind_runner(pybind11::module_& m);      // the whole pipeline, results, the self-check

// Throws Errc::usage.
[[nodiscard]] Precision precision_of(const std::string& name);

}  // namespace lunart
