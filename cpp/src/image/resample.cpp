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
  if (x < 2) return ((x - 5) * x + 8) * x * a - 4 * a;
  return 0;
}

double weight(Filter filter, double x, bool antialias) {
  if (filter == Filter::bilinear) return triangle(x);
  return cubic(x, antialias ? -0.5 : -0.75);
}

double support_of(Filter filter) {
  return filter == Filter::bilinear ? 1 : 2;
}

Taps nearest(const Axis& axis, double scale, std::int64_t k) {
  const auto at = static_cast<std::int64_t>((static_cast<double>(k) + 0.5) * scale);
  return {std::clamp<std::int64_t>(at, 0, axis.from - 1), {1.0F}};
}

// Pixels beyond the border are left out and the rest weighs more.
Taps antialiased(const Axis& axis, double scale, std::int64_t k) {
  const double grown = std::max(scale, 1.0);
  const double reach = support_of(axis.filter) * grown;
  const double centre = scale * (static_cast<double>(k) + 0.5);
  const auto half_up = [](double x) { return static_cast<std::int64_t>(std::floor(x + 0.5)); };
  const auto first = std::max<std::int64_t>(0, half_up(centre - reach));
  const auto end = std::min(axis.from, half_up(centre + reach));
  std::vector<double> weights;
  double sum = 0;
  for (std::int64_t j = first; j < end; ++j) {
    weights.push_back(weight(axis.filter, (static_cast<double>(j) + 0.5 - centre) / grown, true));
    sum += weights.back();
  }
  Taps taps{first, {}};
  for (const double w : weights) taps.weights.push_back(static_cast<float>(w / sum));
  return taps;
}

// Beyond the border the outermost pixel is repeated.
Taps interpolated(const Axis& axis, double scale, std::int64_t k) {
  const double at = scale * (static_cast<double>(k) + 0.5) - 0.5;
  const auto reach = static_cast<std::int64_t>(support_of(axis.filter));
  const auto low = static_cast<std::int64_t>(std::floor(at)) - reach + 1;
  const std::int64_t last = axis.from - 1;
  const std::int64_t first = std::clamp<std::int64_t>(low, 0, last);
  const std::int64_t end = std::clamp<std::int64_t>(low + 2 * reach - 1, 0, last);
  std::vector<double> weights(static_cast<std::size_t>(end - first + 1));
  for (std::int64_t j = low; j < low + 2 * reach; ++j) {
    weights[static_cast<std::size_t>(std::clamp<std::int64_t>(j, 0, last) - first)] +=
        weight(axis.filter, at - static_cast<double>(j), false);
  }
  return {first, {weights.begin(), weights.end()}};
}

}  // namespace

Taps taps_of(const Axis& axis, std::int64_t k) {
  const double scale = static_cast<double>(axis.from) / static_cast<double>(axis.to);
  if (axis.filter == Filter::nearest) return nearest(axis, scale, k);
  return axis.antialias ? antialiased(axis, scale, k) : interpolated(axis, scale, k);
}

}  // namespace lunart
