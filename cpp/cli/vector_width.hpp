// Vectors as wide as the processor's arithmetic.
#pragma once

#include "cli/options.hpp"

namespace lunart::cli {

// AMD's family 19h (Zen 4) computes 512-bit vectors in two halves, so that OpenVINO's f32 kernels
// gain nothing by them, and layers of eight channels leave half of each empty: 256-bit kernels are
// faster there. oneDNN inside OpenVINO reads the choice from the environment, once; one that the
// user made stays. libtorch would read it too, and its results would no longer be those of eager
// PyTorch to the bit, so it is only set where OpenVINO is what will run.
void choose_vector_width(const Options& options);

}  // namespace lunart::cli
