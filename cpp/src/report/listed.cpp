#include "report/listed.hpp"

#include "lunart/error.hpp"

namespace lunart {

const std::vector<Finding>& listed(const Result& r, const ReportOptions& options) {
  if (!options.all_candidates) return r.nodules;
  if (r.candidates.size() == r.candidate_count) return r.candidates;
  throw Error(Errc::usage, "the stored result lists only its nodules, not its " +
                               std::to_string(r.candidate_count) +
                               " candidates; run the scan with --all-candidates");
}

}  // namespace lunart
