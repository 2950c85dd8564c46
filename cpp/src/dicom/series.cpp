#include "dicom/series.hpp"

#include <algorithm>
#include <cmath>

#include "dicom/stacks.hpp"
#include "io/text.hpp"

namespace lunart::dicom {
namespace {

constexpr std::size_t kMostShown = 40;

std::string rounded(double mm) {
  return text_of(std::round(mm * 1000) / 1000);
}

}  // namespace

std::vector<Series> series_of(std::span<const Instance> instances) {
  std::vector<Series> list;
  for (Stack& stack : stacks_of(instances)) list.push_back(std::move(stack.series));
  return list;
}

std::string list_text(std::span<const Series> series) {
  std::string out;
  for (const Series& s : series.first(std::min(series.size(), kMostShown))) {
    out += "  " + (s.id.empty() ? "(no series UID)" : s.id) + ": " + std::to_string(s.slices) +
           (s.slices == 1 ? " slice" : " slices");
    if (s.rows > 0) {
      out += ", " + std::to_string(s.cols) + " x " + std::to_string(s.rows) + ", " +
             rounded(s.spacing.x) + " x " + rounded(s.spacing.y) + " x " + rounded(s.spacing.z) +
             " mm";
    }
    if (!s.description.empty()) out += ", " + in_quotes(s.description);
    if (!s.detail.empty()) out += ", " + s.detail;
    if (!s.unusable.empty()) out += " - not usable: " + s.unusable;
    out += '\n';
  }
  if (series.size() > kMostShown) {
    out += "  and " + std::to_string(series.size() - kMostShown) + " more\n";
  }
  return out;
}

}  // namespace lunart::dicom
