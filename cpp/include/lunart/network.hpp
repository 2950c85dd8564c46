// What passes between the pipeline and an engine: float tensors in C order, and a function that
// runs one network on one batch. A callable engine is a NetworkFunction for each model.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace lunart {

struct TensorView {
  std::span<const std::int64_t> shape;
  std::span<const float> data;
};

struct Tensor {
  std::vector<std::int64_t> shape;
  std::vector<float> data;
};

// Input: (batch, channels, ...), HU clamped to the bundle's window. Returns the outputs in the
// order of the manifest. Called from one thread at a time.
using NetworkFunction = std::function<std::vector<Tensor>(const TensorView&)>;

}  // namespace lunart
