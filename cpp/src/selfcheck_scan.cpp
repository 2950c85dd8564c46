#include "selfcheck_scan.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

namespace lunart {
namespace {

using Json = nlohmann::json;

constexpr double kGeometry = 1e-9;

template <class Triple>
double farthest_axis(const Triple& got, const Json& expected) {
  const auto [a, b, c] = got;
  const auto e = expected.get<std::array<double, 3>>();
  return std::max({std::abs(a - e[0]), std::abs(b - e[1]), std::abs(c - e[2])});
}

// What is compared of findings, and how many may have no like on the other side.
struct Rule {
  std::string kind;
  double threshold{}, largest_step{}, least_voxels{}, unmatched_share{};  // a step in mm
};

// Findings of one side that are neither near the threshold nor too small must have their like on
// the other, a centre close by. What the pairs differ by is reported.
void compare_findings(const Rule& rule, const std::vector<Finding>& got, const Json& expected,
                      const Limits& limits, Report& report) {
  const auto counts = [&](double p, double voxels) {
    return std::abs(p - rule.threshold) > limits.probability && voxels >= rule.least_voxels;
  };
  double lost = 0;
  double millimetres = 0;
  double probability = 0;
  double diameter = 0;
  std::vector<bool> taken(got.size());
  for (const Json& wanted : expected) {
    const auto p = wanted.at("probability").get<double>();
    std::size_t nearest = got.size();
    const auto voxels = wanted.at("voxels").get<double>();
    double least = limits.centre_voxels;
    for (std::size_t k = 0; k < got.size(); ++k) {
      const double d = farthest_axis(got[k].center_irc, wanted.at("center_irc"));
      if (taken[k] || d > least) continue;
      nearest = k;
      least = d;
    }
    if (nearest == got.size()) {
      lost += counts(p, voxels) ? 1 : 0;
      continue;
    }
    taken[nearest] = true;
    if (voxels < rule.least_voxels) continue;
    const Finding& like = got[nearest];
    millimetres =
        std::max(millimetres, farthest_axis(like.center_xyz_mm, wanted.at("center_xyz_mm")));
    probability = std::max(probability, std::abs(like.probability - p));
    diameter =
        std::max(diameter, std::abs(like.diameter_mm / wanted.at("diameter_mm").get<double>() - 1));
  }
  for (std::size_t k = 0; k < got.size(); ++k) {
    if (!taken[k] && counts(got[k].probability, static_cast<double>(got[k].voxels))) ++lost;
  }
  const auto all = static_cast<double>(got.size() + expected.size());
  report.add(rule.kind + " without a like", lost, std::floor(rule.unmatched_share * all),
             std::to_string(got.size()) + " here, " + std::to_string(expected.size()) + " golden");
  report.add(rule.kind + " centre (mm)", millimetres, limits.centre_voxels * rule.largest_step);
  report.add(rule.kind + " diameter (share)", diameter, limits.diameter_share);
  report.add(rule.kind + " probability max_abs", probability, limits.probability);
}

double geometry_difference(const Geometry& got, const Json& scan) {
  const auto spacing = farthest_axis(got.spacing, scan.at("spacing_mm"));
  const auto origin = farthest_axis(got.origin, scan.at("origin_mm"));
  const auto direction = scan.at("direction").get<std::array<double, 9>>();
  double most = std::max(spacing, origin);
  for (std::size_t k = 0; k < direction.size(); ++k) {
    most = std::max(most, std::abs(got.direction[k] - direction[k]));
  }
  return most;
}

}  // namespace

void compare_results(const Result& got, const Json& expected, const LimitsOfPrecision& limits,
                     Precision precision, Report& report) {
  const Limits& l = limits.of(precision);
  const Xyz& spacing = got.geometry.spacing;
  const double step = std::max({spacing.x, spacing.y, spacing.z});
  report.add("scan geometry", geometry_difference(got.geometry, expected.at("scan")), kGeometry);
  compare_findings({"candidates", got.threshold, step,
                    std::max(limits.candidate_voxels, l.least_voxels), l.unmatched_share},
                   got.candidates, expected.at("candidates"), l, report);
  compare_findings({"nodules", got.threshold, step, l.least_voxels, 0}, got.nodules,
                   expected.at("nodules"), l, report);
}

}  // namespace lunart
