// What the networks see of a scan's values, and what weighs a centre of mass.
#pragma once

#include <cstddef>

namespace lunart {

struct HuWindow {
  float low{-1000}, high{1000};

  // Comparisons in the order of the processor's minimum and maximum, so that loops become vectors.
  [[nodiscard]] float clamped(float hu) const noexcept {
    const float raised = hu > low ? hu : low;
    return raised < high ? raised : high;
  }
};

// Clamped HU of n voxels in a row.
template <class T>
void copy_clamped(const T* from, std::size_t n, HuWindow window, float* to) {
  for (std::size_t k = 0; k < n; ++k) to[k] = window.clamped(static_cast<float>(from[k]));
}

}  // namespace lunart
