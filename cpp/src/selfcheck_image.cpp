#include "selfcheck_image.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "io/text.hpp"

namespace lunart {
namespace {

using Json = nlohmann::json;

double probability_of(const std::vector<ClassProbability>& classes, const std::string& name) {
  const auto found = std::ranges::find(classes, name, &ClassProbability::name);
  return found == classes.end() ? kNever : found->probability;
}

}  // namespace

void compare_results(const Classification& got, const Json& expected,
                     const LimitsOfPrecision& limits, Precision precision, Report& report) {
  // Pixels first: what is decoded otherwise says nothing of the network.
  const Json& image = expected.at("image");
  const bool same_pixels = got.decoded_sha256 == expected.at("decoded_sha256").get<std::string>() &&
                           got.rows == image.at("rows").get<std::int64_t>() &&
                           got.cols == image.at("cols").get<std::int64_t>();
  report.add("decoded pixels differ", same_pixels ? 0 : 1, 0, same_pixels ? "" : shown(got.path));
  const Json& classes = expected.at("classes");
  const auto likeliest = classes.at(0).at("name").get<std::string>();
  double most = classes.size() == got.classes.size() ? 0 : kNever;
  for (const Json& wanted : classes) {
    const double p = probability_of(got.classes, wanted.at("name").get<std::string>());
    most = std::max(most, std::abs(p - wanted.at("probability").get<double>()));
  }
  const double limit = limits.of(precision).probability;
  report.add("probability max_abs", most, limit);
  // Two classes that are as probable may change places.
  const double behind = got.classes.front().probability - probability_of(got.classes, likeliest);
  report.add("most probable class behind", behind, 2 * limit, printable(likeliest));
}

}  // namespace lunart
