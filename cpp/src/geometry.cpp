#include "lunart/geometry.hpp"

#include <cmath>
#include <limits>
#include <string>

#include "io/text.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

// 2048 x 2048 x 1024: more than any chest CT, and int16 voxels still fit a workstation's memory.
// Generous for any scanner, and far from where sums of volumes stop being finite.
constexpr double kLeastSpacing = 1e-3;
constexpr double kMostSpacing = 1e3;
constexpr double kFarthestOrigin = 1e7;
constexpr std::int64_t kMaxVoxels = std::int64_t{1} << 32;
constexpr std::int64_t kMaxAxis = std::numeric_limits<std::int32_t>::max();
constexpr double kMinDeterminant = 1e-3;

double determinant(const std::array<double, 9>& m) {
  return m[0] * (m[4] * m[8] - m[5] * m[7]) - m[1] * (m[3] * m[8] - m[5] * m[6]) +
         m[2] * (m[3] * m[7] - m[4] * m[6]);
}

[[noreturn]] void fail(const char* source, const std::string& what) {
  throw Error(Errc::scan, std::string(source) + ": " + what);
}

void check_shape(const char* source, const IrcIndex& shape) {
  const std::string quoted = "shape (index, row, col) = (" + std::to_string(shape.index) + ", " +
                             std::to_string(shape.row) + ", " + std::to_string(shape.col) + ")";
  std::int64_t voxels = 1;
  for (const std::int64_t n : {shape.index, shape.row, shape.col}) {
    if (n < 1) fail(source, quoted + ": every axis needs at least one voxel");
    if (n > kMaxAxis || voxels > kMaxVoxels / n) {
      fail(source,
           quoted + ": no CT scan has so many voxels (at most " + std::to_string(kMaxVoxels) + ")");
    }
    voxels *= n;
  }
}

}  // namespace

std::size_t Geometry::voxel_count() const noexcept {
  return static_cast<std::size_t>(shape.index) * static_cast<std::size_t>(shape.row) *
         static_cast<std::size_t>(shape.col);
}

double Geometry::voxel_mm3() const noexcept {
  // The determinant is 1 but where the axes are not quite orthogonal.
  return spacing.x * spacing.y * spacing.z * std::abs(determinant(direction));
}

Xyz Geometry::to_xyz(const Irc& irc) const noexcept {
  const std::array<double, 9>& d = direction;
  const double a = irc.col * spacing.x;
  const double b = irc.row * spacing.y;
  const double c = irc.index * spacing.z;
  return {.x = origin.x + (d[0] * a + d[1] * b + d[2] * c),
          .y = origin.y + (d[3] * a + d[4] * b + d[5] * c),
          .z = origin.z + (d[6] * a + d[7] * b + d[8] * c)};
}

Irc Geometry::to_irc(const Xyz& xyz) const {
  // By Cramer's rule: the transpose is the inverse only of a rotation.
  const std::array<double, 9>& d = direction;
  const double det = determinant(d);
  if (det == 0) throw Error(Errc::scan, "direction " + text_of(direction) + " is singular");
  const double x = xyz.x - origin.x;
  const double y = xyz.y - origin.y;
  const double z = xyz.z - origin.z;
  const double a =
      x * (d[4] * d[8] - d[5] * d[7]) - d[1] * (y * d[8] - d[5] * z) + d[2] * (y * d[7] - d[4] * z);
  const double b =
      d[0] * (y * d[8] - d[5] * z) - x * (d[3] * d[8] - d[5] * d[6]) + d[2] * (d[3] * z - y * d[6]);
  const double c =
      d[0] * (d[4] * z - y * d[7]) - d[1] * (d[3] * z - y * d[6]) + x * (d[3] * d[7] - d[4] * d[6]);
  return {.index = c / det / spacing.z, .row = b / det / spacing.y, .col = a / det / spacing.x};
}

void Geometry::validate(const char* source) const {
  check_shape(source, shape);
  const std::array<double, 3> mm{spacing.x, spacing.y, spacing.z};
  for (const double s : mm) {
    if (!(s >= kLeastSpacing && s <= kMostSpacing)) {
      fail(source, "spacing (x, y, z) = " + text_of(mm) +
                       " mm: each must be positive and finite, from " + text_of(kLeastSpacing) +
                       " to " + text_of(kMostSpacing));
    }
  }
  const std::array<double, 3> start{origin.x, origin.y, origin.z};
  for (const double o : start) {
    if (!(std::abs(o) <= kFarthestOrigin)) {
      fail(source, "origin (x, y, z) = " + text_of(start) + " mm: each must be finite, at most " +
                       text_of(kFarthestOrigin) + " from 0");
    }
  }
  const double det = std::abs(determinant(direction));
  if (!std::isfinite(det) || det <= kMinDeterminant) {
    fail(source, "direction " + text_of(direction) + " is singular or not finite (determinant " +
                     text_of(det) + ")");
  }
}

}  // namespace lunart
