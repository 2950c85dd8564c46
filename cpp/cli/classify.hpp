// luna_infer over a bundle that classifies images.
#pragma once

#include "cli/options.hpp"

namespace lunart::cli {

// Throws Errc::usage for options that only a scan has.
void require_image_options(const Options& options);

// Classifies every picture that is named; returns the exit code. One that cannot be read among
// several is named and left out.
[[nodiscard]] int classify(const Options& options);

}  // namespace lunart::cli
