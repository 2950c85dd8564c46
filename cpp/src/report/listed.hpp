// What a writer lists.
#pragma once

#include <vector>

#include "lunart/report.hpp"

namespace lunart {

// The nodules, or all candidates. Throws Errc::usage when those are wanted of a stored result that
// does not list them.
[[nodiscard]] const std::vector<Finding>& listed(const Result& result,
                                                 const ReportOptions& options);

}  // namespace lunart
