// Networks that are Python functions, as the core calls them.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lunart/runner.hpp"
#include "python/tensors.hpp"

namespace lunart {

using PythonNetworks = std::map<std::string, pybind11::function>;

// Deletes under the GIL what C++ may drop without it.
template <class T>
std::shared_ptr<T> held_by_cpp(T object) {
  return {new T(std::move(object)), [](T* p) {
            const pybind11::gil_scoped_acquire gil;
            delete p;
          }};
}

inline NetworkFunction network_of(pybind11::function function) {
  return [held = held_by_cpp(std::move(function))](const TensorView& input) {
    const pybind11::gil_scoped_acquire gil;
    const pybind11::object returned = (*held)(to_numpy(input.shape, input.data));
    std::vector<Tensor> outputs;
    for (const pybind11::handle output : returned) {
      const FloatArray array = FloatArray::ensure(output);
      if (!array) {
        throw pybind11::type_error("a network returned something that is no array of numbers");
      }
      outputs.push_back(to_tensor(array));
    }
    return outputs;
  };
}

// One function for each model of the bundle.
inline CallableEngine callable_engine(const std::string& name, const std::string& version,
                                      const PythonNetworks& networks) {
  CallableEngine callable{{.name = name, .version = version}, {}};
  for (const auto& [model, function] : networks) callable.networks[model] = network_of(function);
  return callable;
}

}  // namespace lunart
