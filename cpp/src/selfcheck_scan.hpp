// A result on this machine against the golden one of a bundle.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "bundle/manifest.hpp"
#include "lunart/result.hpp"
#include "selfcheck_report.hpp"

namespace lunart {

// `expected` is lunart.result/1 or /2 with all candidates; throws what nlohmann throws when it is
// not.
void compare_results(const Result& got, const nlohmann::json& expected,
                     const LimitsOfPrecision& limits, Precision precision, Report& report);

}  // namespace lunart
