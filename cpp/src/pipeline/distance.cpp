#include "pipeline/distance.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lunart {
namespace {

constexpr float kFar = std::numeric_limits<float>::infinity();

// Buffers of one line, reused for all of them.
struct Line {
  explicit Line(std::size_t longest)
      : value(longest), vertex(longest), height(longest), bound(longest) {}
  std::vector<float> value, vertex, height, bound;
};

// Replaces line.value[0..n) by the lower envelope of its parabolas. Vertices whose height is
// infinite contribute nothing.
void lower_envelope(Line& line, std::size_t n, float step) {
  std::size_t count = 0;
  for (std::size_t q = 0; q < n; ++q) {
    if (line.value[q] == kFar) continue;
    const float at = static_cast<float>(q) * step;
    const float height = line.value[q];
    float bound = -kFar;
    while (count > 0) {
      const std::size_t k = count - 1;
      bound = ((height + at * at) - (line.height[k] + line.vertex[k] * line.vertex[k])) /
              (2 * (at - line.vertex[k]));
      if (bound > line.bound[k]) break;
      --count;
    }
    line.vertex[count] = at;
    line.height[count] = height;
    line.bound[count] = count == 0 ? -kFar : bound;
    ++count;
  }
  if (count == 0) return;
  std::size_t k = 0;
  for (std::size_t q = 0; q < n; ++q) {
    const float at = static_cast<float>(q) * step;
    while (k + 1 < count && line.bound[k + 1] < at) ++k;
    const float d = at - line.vertex[k];
    line.value[q] = d * d + line.height[k];
  }
}

void along(std::vector<float>& field, std::size_t lines_outer, std::size_t lines_inner,
           std::size_t outer_stride, std::size_t n, std::size_t stride, float step, Line& line) {
  for (std::size_t o = 0; o < lines_outer; ++o) {
    for (std::size_t in = 0; in < lines_inner; ++in) {
      float* at = field.data() + o * outer_stride + in;
      bool any = false;
      for (std::size_t q = 0; q < n; ++q) {
        line.value[q] = at[q * stride];
        any = any || line.value[q] != kFar;
      }
      if (!any) continue;
      lower_envelope(line, n, step);
      for (std::size_t q = 0; q < n; ++q) at[q * stride] = line.value[q];
    }
  }
}

}  // namespace

std::vector<float> squared_distance(const std::vector<std::uint8_t>& cells, const IrcIndex& shape,
                                    const Xyz& step) {
  const auto ni = static_cast<std::size_t>(shape.index);
  const auto nr = static_cast<std::size_t>(shape.row);
  const auto nc = static_cast<std::size_t>(shape.col);
  std::vector<float> field(cells.size());
  std::ranges::transform(cells, field.begin(),
                         [](std::uint8_t cell) { return cell != 0 ? 0.0F : kFar; });
  Line line(std::max({ni, nr, nc}));
  for (std::size_t o = 0; o < ni * nr; ++o) {
    float* at = field.data() + o * nc;
    std::copy_n(at, nc, line.value.begin());
    lower_envelope(line, nc, static_cast<float>(step.x));
    std::copy_n(line.value.begin(), nc, at);
  }
  along(field, ni, nc, nr * nc, nr, nc, static_cast<float>(step.y), line);
  along(field, 1, nr * nc, 0, ni, nr * nc, static_cast<float>(step.z), line);
  return field;
}

}  // namespace lunart
