#include "pipeline/orientation.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace lunart {
namespace {

std::array<std::int64_t, 3> as_array(const IrcIndex& v) {
  return {v.index, v.row, v.col};
}

// Patient axis x, y, z of oriented axis col, row, index; and image axis of a stored irc axis:
// in both numberings the order is reversed.
constexpr int reversed(int axis) {
  return 2 - axis;
}

double component(const Geometry& g, int patient_axis, int image_axis) {
  return g
      .direction[3 * static_cast<std::size_t>(patient_axis) + static_cast<std::size_t>(image_axis)];
}

template <class T>
std::shared_ptr<std::vector<T>> turned(std::span<const T> from, const IrcIndex& stored_shape,
                                       const Orientation& o, const Tick& tick) {
  const auto n = as_array(stored_shape);
  const std::array<std::int64_t, 3> stride{n[1] * n[2], n[2], 1};
  std::array<std::int64_t, 3> step{};
  std::int64_t start = 0;
  for (std::size_t a = 0; a < 3; ++a) {
    const auto s = static_cast<std::size_t>(o.axis[a]);
    step[a] = o.flip[a] ? -stride[s] : stride[s];
    if (o.flip[a]) start += (n[s] - 1) * stride[s];
  }
  const IrcIndex shape = o.oriented_shape(stored_shape);
  auto to = std::make_shared<std::vector<T>>(from.size());
  auto out = to->begin();
  for (std::int64_t i = 0; i < shape.index; ++i) {
    if (tick) tick();
    for (std::int64_t r = 0; r < shape.row; ++r) {
      std::int64_t at = start + i * step[0] + r * step[1];
      for (std::int64_t c = 0; c < shape.col; ++c, at += step[2]) {
        *out++ = from[static_cast<std::size_t>(at)];
      }
    }
  }
  return to;
}

Geometry oriented_geometry(const Geometry& g, const Orientation& o) {
  const std::array<double, 3> spacing{g.spacing.z, g.spacing.y, g.spacing.x};  // of irc axes
  Geometry out;
  out.shape = o.oriented_shape(g.shape);
  std::array<double, 3> turned_spacing{};
  for (int a = 0; a < 3; ++a) {
    const auto from = static_cast<std::size_t>(o.axis[static_cast<std::size_t>(a)]);
    turned_spacing[static_cast<std::size_t>(a)] = spacing[from];
    const double sign = o.flip[static_cast<std::size_t>(a)] ? -1.0 : 1.0;
    for (int p = 0; p < 3; ++p) {
      out.direction[3 * static_cast<std::size_t>(p) + static_cast<std::size_t>(reversed(a))] =
          sign * component(g, p, reversed(static_cast<int>(from)));
    }
  }
  out.spacing = {turned_spacing[2], turned_spacing[1], turned_spacing[0]};
  out.origin = g.to_xyz(o.to_stored({0, 0, 0}, g.shape));
  return out;
}

}  // namespace

bool Orientation::is_identity() const noexcept {
  return axis == std::array{0, 1, 2} && flip == std::array{false, false, false};
}

IrcIndex Orientation::oriented_shape(const IrcIndex& stored) const noexcept {
  const auto n = as_array(stored);
  return {n[static_cast<std::size_t>(axis[0])], n[static_cast<std::size_t>(axis[1])],
          n[static_cast<std::size_t>(axis[2])]};
}

Irc Orientation::to_stored(const Irc& oriented, const IrcIndex& stored_shape) const noexcept {
  const auto n = as_array(stored_shape);
  const std::array<double, 3> from{oriented.index, oriented.row, oriented.col};
  std::array<double, 3> to{};
  for (std::size_t a = 0; a < 3; ++a) {
    const auto s = static_cast<std::size_t>(axis[a]);
    to[s] = flip[a] ? static_cast<double>(n[s] - 1) - from[a] : from[a];
  }
  return {to[0], to[1], to[2]};
}

Orientation nearest_lps(const Geometry& stored) noexcept {
  std::array<int, 3> image_axis{0, 1, 2};  // of patient axes x, y, z
  std::array<int, 3> best = image_axis;
  double best_score = -1;
  do {
    double score = 0;
    for (int p = 0; p < 3; ++p) {
      score += std::abs(component(stored, p, image_axis[static_cast<std::size_t>(p)]));
    }
    if (score > best_score) {
      best_score = score;
      best = image_axis;
    }
  } while (std::ranges::next_permutation(image_axis).found);

  Orientation o;
  for (int a = 0; a < 3; ++a) {
    const int patient_axis = reversed(a);
    const int image = best[static_cast<std::size_t>(patient_axis)];
    o.axis[static_cast<std::size_t>(a)] = reversed(image);
    o.flip[static_cast<std::size_t>(a)] = component(stored, patient_axis, image) < 0;
  }
  return o;
}

Volume orient(const Volume& stored, const Orientation& orientation, const Tick& tick) {
  if (orientation.is_identity()) return stored;
  Volume out = stored;
  out.geometry = oriented_geometry(stored.geometry, orientation);
  std::visit(
      [&](auto voxels) {
        auto moved = turned(voxels, stored.geometry.shape, orientation, tick);
        out.hu = decltype(voxels){*moved};
        out.storage = std::move(moved);
      },
      stored.hu);
  return out;
}

}  // namespace lunart
