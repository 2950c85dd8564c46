#include "image/resample.hpp"

#include <algorithm>
#include <cmath>

namespace lunart {
namespace {

double triangle(double x) {
  return std::max(0.0, 1 - std::abs(x));
}

// Keys, "Cubic convolution interpolation for digital image processing", IEEE 1981.
double cubic(double x, double a) {
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

double support_of(Filter filter) {
  return filter == Filter::bilinear ? 1 : 2;
}

double scale_of(const Axis& axis) {
  return static_cast<double>(axis.from) / static_cast<double>(axis.to);
}

Taps nearest_tap(const Axis& axis, std::int64_t k) {
  const auto at = static_cast<std::int64_t>((static_cast<double>(k) + 0.5) * scale_of(axis));
  return {std::clamp<std::int64_t>(at, 0, axis.from - 1), {1.0}};
}

}  // namespace

// Pixels beyond the border are left out and the rest weighs more.
Taps antialiased_taps(const Axis& axis, std::int64_t k) {
  const double scale = scale_of(axis);
  const double grown = std::max(scale, 1.0);
  const double shrink = 1.0 / grown;
  const double reach = support_of(axis.filter) * grown;
  const double centre = (static_cast<double>(k) + 0.5) * scale;
  const auto half_up = [](double x) { return static_cast<std::int64_t>(std::floor(x + 0.5)); };
  const auto first = std::max<std::int64_t>(0, half_up(centre - reach));
  const auto end = std::min(axis.from, half_up(centre + reach));
  Taps taps{first, {}};
  double sum = 0;
  for (std::int64_t j = first; j < end; ++j) {
    const double x = (static_cast<double>(j) - centre + 0.5) * shrink;
    taps.weights.push_back(axis.filter == Filter::bilinear ? triangle(x) : cubic(x, -0.5));
    sum += taps.weights.back();
  }
  for (double& w : taps.weights) w /= sum;
  return taps;
}

// Beyond the border the outermost pixel is repeated.
Taps interpolated_taps(const Axis& axis, std::int64_t k) {
  if (axis.filter == Filter::nearest) return nearest_tap(axis, k);
  const double at = scale_of(axis) * (static_cast<double>(k) + 0.5) - 0.5;
  const auto reach = static_cast<std::int64_t>(support_of(axis.filter));
  const auto low = static_cast<std::int64_t>(std::floor(at)) - reach + 1;
  const std::int64_t last = axis.from - 1;
  const std::int64_t first = std::clamp<std::int64_t>(low, 0, last);
  const std::int64_t end = std::clamp<std::int64_t>(low + 2 * reach - 1, 0, last);
  Taps taps{first, std::vector<double>(static_cast<std::size_t>(end - first + 1))};
  for (std::int64_t j = low; j < low + 2 * reach; ++j) {
    const double x = at - static_cast<double>(j);
    taps.weights[static_cast<std::size_t>(std::clamp<std::int64_t>(j, 0, last) - first)] +=
        axis.filter == Filter::bilinear ? triangle(x) : cubic(x, -0.75);
  }
  return taps;
}

}  // namespace lunart
