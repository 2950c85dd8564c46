// A classification on this machine against the golden one of a bundle.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "bundle/manifest.hpp"
#include "lunart/classifier.hpp"
#include "selfcheck_report.hpp"

namespace lunart {

// `expected` is lunart.classification/1; throws what nlohmann throws when it is not.
void compare_results(const Classification& got, const nlohmann::json& expected,
                     const LimitsOfPrecision& limits, Precision precision, Report& report);

}  // namespace lunart
