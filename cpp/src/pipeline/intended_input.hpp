// Whether a scan is of the kind that a bundle was tested on; what lies outside becomes a warning.
#pragma once

#include <vector>

#include "bundle/manifest.hpp"
#include "lunart/result.hpp"
#include "lunart/volume.hpp"

namespace lunart {

// `volume` is oriented as the networks see it. Codes: spacing-range, slice-count, hu-range.
void append_input_warnings(const Volume& volume, const IntendedInput& intended,
                           std::vector<Warning>& warnings);

}  // namespace lunart
