#include "pipeline/classify.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "lunart/error.hpp"
#include "pipeline/lanes.hpp"

namespace lunart {
namespace {

std::int64_t crop_start(double centre, std::int64_t size, std::int64_t n, CropBorder border) {
  const std::int64_t start = std::llrint(centre) - size / 2;
  if (border == CropBorder::pad) return start;
  return std::clamp(start, std::min<std::int64_t>(0, n - size),
                    std::max<std::int64_t>(0, n - size));
}

std::vector<double> probabilities_of(const std::vector<Tensor>& outputs, std::size_t batch) {
  const std::vector<std::int64_t> expected{static_cast<std::int64_t>(batch), 2};
  if (outputs.size() != 2 || outputs[1].shape != expected) {
    throw Error(Errc::engine,
                "a 3-D network returned " + std::to_string(outputs.size()) +
                    " outputs or another shape; expected logits and probability of " +
                    std::to_string(batch) +
                    "x2; the artifact does not fit the manifest (run luna_infer --selfcheck)");
  }
  std::vector<double> probabilities;
  for (std::size_t k = 0; k < batch; ++k) {
    const double probability = outputs[1].data[2 * k + 1];
    if (!std::isfinite(probability)) {
      throw Error(Errc::engine,
                  "a 3-D network returned a probability that is not a number; "
                  "run luna_infer --selfcheck");
    }
    probabilities.push_back(probability);
  }
  return probabilities;
}

// Between which two voxels of an axis a crop's voxel lies, and its share of the upper one.
struct Between {
  std::int64_t low;
  float share;
};

std::vector<Between> places(double centre, std::int64_t size, double step, std::int64_t n) {
  std::vector<Between> found;
  for (std::int64_t k = 0; k < size; ++k) {
    const double at = centre + (static_cast<double>(k) - static_cast<double>(size - 1) / 2) * step;
    // One voxel beyond the scan is as good as any other: both neighbours are outside.
    const double inside = std::clamp(at, -1.0, static_cast<double>(n));
    const double low = std::floor(inside);
    found.push_back({static_cast<std::int64_t>(low), static_cast<float>(inside - low)});
  }
  return found;
}

float mixed(float low, float high, float share) {
  return low + share * (high - low);
}

// Two neighbours on an axis, both lines or both planes, already interpolated along the axes below.
// A crop's next voxel often lies between the same two, or between the upper and a new one: several
// times faster than eight voxels of the scan for each of the crop, and equal to the bit.
class Neighbours {
 public:
  explicit Neighbours(std::int64_t values)
      : low_(static_cast<std::size_t>(values)), high_(low_.size()) {}

  // make(place, to) interpolates what lies at a place of the axis.
  template <class Make>
  void move_to(std::int64_t place, const Make& make) {
    if (at_ == place) return;
    if (at_ == place - 1) {
      std::swap(low_, high_);
    } else {
      make(place, low_.data());
    }
    make(place + 1, high_.data());
    at_ = place;
  }

  void mix(float share, float* to) const {
    for (std::size_t k = 0; k < low_.size(); ++k) to[k] = mixed(low_[k], high_[k], share);
  }

 private:
  std::vector<float> low_, high_;
  std::int64_t at_ = std::numeric_limits<std::int64_t>::min();  // nowhere yet
};

void interpolate_crop(const Volume& volume, const Irc& centre, double mm, const ClassifyOptions& o,
                      float* to) {
  const IrcIndex n = volume.geometry.shape;
  const Xyz scan_mm = volume.geometry.spacing;
  const auto slices = places(centre.index, o.crop.index, mm / scan_mm.z, n.index);
  const auto rows = places(centre.row, o.crop.row, mm / scan_mm.y, n.row);
  const auto cols = places(centre.col, o.crop.col, mm / scan_mm.x, n.col);
  std::visit(
      [&](auto voxels) {
        const auto make_line = [&](std::int64_t slice, std::int64_t row, float* line) {
          if (slice < 0 || slice >= n.index || row < 0 || row >= n.row) {
            std::fill_n(line, o.crop.col, o.window.low);
            return;
          }
          const auto* from = voxels.data() + (slice * n.row + row) * n.col;
          const auto hu = [&](std::int64_t col) {
            if (col < 0 || col >= n.col) return o.window.low;
            return o.window.clamped(static_cast<float>(from[col]));
          };
          for (const auto [col, share] : cols) *line++ = mixed(hu(col), hu(col + 1), share);
        };
        const auto make_plane = [&](std::int64_t slice, float* plane) {
          Neighbours lines(o.crop.col);
          for (const auto [row, share] : rows) {
            lines.move_to(row, [&](std::int64_t r, float* line) { make_line(slice, r, line); });
            lines.mix(share, plane);
            plane += o.crop.col;
          }
        };
        Neighbours planes(o.crop.row * o.crop.col);
        for (const auto [slice, share] : slices) {
          planes.move_to(slice, make_plane);
          planes.mix(share, to);
          to += o.crop.row * o.crop.col;
        }
      },
      volume.hu);
}

}  // namespace

void copy_crop(const Volume& volume, const Irc& centre, const ClassifyOptions& o, float* to) {
  if (o.spacing_mm) return interpolate_crop(volume, centre, *o.spacing_mm, o, to);
  const IrcIndex n = volume.geometry.shape;
  const std::int64_t i0 = crop_start(centre.index, o.crop.index, n.index, o.border);
  const std::int64_t r0 = crop_start(centre.row, o.crop.row, n.row, o.border);
  const std::int64_t c0 = crop_start(centre.col, o.crop.col, n.col, o.border);
  std::fill_n(to, o.crop.index * o.crop.row * o.crop.col, o.window.low);
  const std::int64_t c_begin = std::max<std::int64_t>(0, c0);
  const std::int64_t c_end = std::min(n.col, c0 + o.crop.col);
  if (c_end <= c_begin) return;
  std::visit(
      [&](auto voxels) {
        for (std::int64_t i = std::max<std::int64_t>(0, i0);
             i < std::min(n.index, i0 + o.crop.index); ++i) {
          for (std::int64_t r = std::max<std::int64_t>(0, r0); r < std::min(n.row, r0 + o.crop.row);
               ++r) {
            const auto* from = voxels.data() + (i * n.row + r) * n.col;
            float* line = to + ((i - i0) * o.crop.row + (r - r0)) * o.crop.col;
            copy_clamped(from + c_begin, static_cast<std::size_t>(c_end - c_begin), o.window,
                         line + (c_begin - c0));
          }
        }
      },
      volume.hu);
}

std::vector<double> classify(const Volume& volume, std::span<const Irc> centres,
                             const Network& network, const ClassifyOptions& options,
                             const std::function<void(std::size_t, std::size_t)>& step) {
  const auto crop_size =
      static_cast<std::size_t>(options.crop.index * options.crop.row * options.crop.col);
  const std::size_t most = std::max<std::size_t>(1, network.batch);
  const auto batch_of = [&](std::size_t k) {
    return centres.subspan(k * most).first(std::min(most, centres.size() - k * most));
  };
  std::vector<double> probabilities;
  probabilities.reserve(centres.size());
  std::vector<std::vector<float>> inputs(static_cast<std::size_t>(network.lanes));
  step(0, centres.size());
  in_lanes<std::vector<double>>(
      network.lanes, (centres.size() + most - 1) / most,
      [&](std::size_t lane, std::size_t k) {
        const auto batch = batch_of(k);
        std::vector<float>& input = inputs[lane];
        input.resize(batch.size() * crop_size);
        for (std::size_t j = 0; j < batch.size(); ++j) {
          copy_crop(volume, batch[j], options, input.data() + j * crop_size);
        }
        const std::array<std::int64_t, 5> shape{static_cast<std::int64_t>(batch.size()), 1,
                                                options.crop.index, options.crop.row,
                                                options.crop.col};
        return probabilities_of(network.run({shape, input}), batch.size());
      },
      [&](std::size_t, const std::vector<double>& found) {
        probabilities.insert(probabilities.end(), found.begin(), found.end());
        step(probabilities.size(), centres.size());
      });
  return probabilities;
}

}  // namespace lunart
