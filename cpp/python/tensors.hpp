// Tensors between NumPy and the pipeline; always copied, because the pipeline reuses its buffers.
#pragma once

#include <pybind11/numpy.h>

#include <vector>

#include "lunart/network.hpp"

namespace lunart {

using FloatArray = pybind11::array_t<float, pybind11::array::c_style | pybind11::array::forcecast>;

inline FloatArray to_numpy(std::span<const std::int64_t> shape, std::span<const float> data) {
  return FloatArray(std::vector<pybind11::ssize_t>(shape.begin(), shape.end()), data.data());
}

inline Tensor to_tensor(const FloatArray& array) {
  return {{array.shape(), array.shape() + array.ndim()},
          {array.data(), array.data() + array.size()}};
}

}  // namespace lunart
