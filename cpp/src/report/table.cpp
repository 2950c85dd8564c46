// What a person reads on the terminal.
#include <array>
#include <cstdio>

#include "io/text.hpp"
#include "lunart/report.hpp"

namespace lunart {
namespace {

template <class... Values>
std::string formatted(const char* format, Values... values) {
  std::array<char, 256> text{};
  std::snprintf(text.data(), text.size(), format, values...);
  return text.data();
}

void append_rows(std::string& out, const std::vector<Finding>& findings) {
  out +=
      "   #  probability  malignancy  diameter    x, y, z (mm, LPS)            index, row, col\n";
  for (const Finding& f : findings) {
    const std::string malignancy = f.malignancy ? formatted("%10.3f", *f.malignancy) : "         -";
    out += formatted("%4u  %11.3f  %s  %5.1f mm  %8.1f %8.1f %8.1f  %9.1f %6.1f %6.1f\n", f.label,
                     f.probability, malignancy.c_str(), f.diameter_mm, f.center_xyz_mm.x,
                     f.center_xyz_mm.y, f.center_xyz_mm.z, f.center_irc.index, f.center_irc.row,
                     f.center_irc.col);
  }
}

}  // namespace

std::string to_table(const Result& r, const ReportOptions& options) {
  const IrcIndex& n = r.geometry.shape;
  const Xyz& mm = r.geometry.spacing;
  std::string out = (r.path.empty() ? std::string("scan") : shown(r.path)) + "\n";
  out += formatted("%lld slices of %lldx%lld, %.3gx%.3gx%.3g mm; %s %s, %s, %d threads; %.1f s\n",
                   static_cast<long long>(n.index), static_cast<long long>(n.row),
                   static_cast<long long>(n.col), mm.x, mm.y, mm.z, r.engine.name.c_str(),
                   r.engine.version.c_str(), r.engine.precision.c_str(), r.engine.threads,
                   r.timings_s.total);
  for (const Warning& w : r.warnings) out += "warning (" + w.code + "): " + w.text + "\n";
  out += formatted("%zu nodules above %g among %zu candidates\n", r.nodules.size(), r.threshold,
                   r.candidate_count);
  if (!r.nodules.empty()) append_rows(out, r.nodules);
  if (options.all_candidates && !r.candidates.empty()) {
    out += "all candidates\n";
    append_rows(out, r.candidates);
  }
  return out;
}

}  // namespace lunart
