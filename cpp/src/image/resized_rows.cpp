#include "image/resized_rows.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace lunart {
namespace {

constexpr std::size_t kChannels = 3;
constexpr double kWhite = 255;

std::vector<Taps> taps_of(const Axis& axis, Columns columns,
                          Taps (*taps)(const Axis&, std::int64_t)) {
  std::vector<Taps> list;
  for (std::int64_t c = 0; c < columns.count; ++c) list.push_back(taps(axis, columns.begin + c));
  return list;
}

const std::uint8_t* row_of(const Image& image, std::int64_t r) {
  return image.rgb.data() +
         kChannels * static_cast<std::size_t>(image.cols) * static_cast<std::size_t>(r);
}

// As torch: weighted sums in floating point, down the columns first so that there is one row in
// between.
class Interpolated final : public ResizedRows {
 public:
  Interpolated(const Image& image, Filter filter, ImageSize to, Columns columns)
      : image_(image),
        down_{image.rows, to.rows, filter},
        across_(taps_of({image.cols, to.cols, filter}, columns, interpolated_taps)),
        line_(kChannels * static_cast<std::size_t>(image.cols)) {}

  void make(std::int64_t r, std::span<std::uint8_t> to) override {
    blend_rows(interpolated_taps(down_, r));
    for (std::size_t c = 0; c < across_.size(); ++c) {
      const Taps& taps = across_[c];
      const double* from = line_.data() + kChannels * static_cast<std::size_t>(taps.first);
      std::array<double, kChannels> sum{};
      for (const double w : taps.weights) {
        for (double& s : sum) s += w * *from++;
      }
      for (std::size_t k = 0; k < kChannels; ++k) {
        // Bicubic weights overshoot; no pixel does.
        to[kChannels * c + k] =
            static_cast<std::uint8_t>(std::nearbyint(std::clamp(sum[k], 0.0, kWhite)));
      }
    }
  }

 private:
  void blend_rows(const Taps& taps) {
    std::ranges::fill(line_, 0.0);
    const std::uint8_t* from = row_of(image_, taps.first);
    for (const double w : taps.weights) {
      for (double& sum : line_) sum += w * *from++;
    }
  }

  const Image& image_;
  Axis down_;
  std::vector<Taps> across_;
  std::vector<double> line_;
};

// Pillow's fixed point: 22 bits after the point, rounded half up after each axis.
constexpr int kBits = 22;

struct FixedTaps {
  std::int64_t first{};
  std::vector<std::int32_t> weights;
};

FixedTaps fixed(const Taps& taps) {
  FixedTaps f{taps.first, {}};
  for (const double w : taps.weights) {
    const double scaled = w * (1 << kBits);
    f.weights.push_back(static_cast<std::int32_t>(std::trunc(scaled + (w < 0 ? -0.5 : 0.5))));
  }
  return f;
}

std::uint8_t rounded(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp<std::int32_t>(sum >> kBits, 0, 255));
}

constexpr std::int32_t kHalf = 1 << (kBits - 1);

std::vector<FixedTaps> fixed_taps_of(const Axis& axis, Columns columns) {
  std::vector<FixedTaps> list;
  for (const Taps& taps : taps_of(axis, columns, antialiased_taps)) list.push_back(fixed(taps));
  return list;
}

// New pixels of one row.
void across(const std::uint8_t* row, const std::vector<FixedTaps>& columns,
            std::span<std::uint8_t> to) {
  for (std::size_t c = 0; c < columns.size(); ++c) {
    const FixedTaps& taps = columns[c];
    const std::uint8_t* from = row + kChannels * static_cast<std::size_t>(taps.first);
    std::array<std::int32_t, kChannels> sum{kHalf, kHalf, kHalf};
    for (const std::int32_t w : taps.weights) {
      for (std::int32_t& s : sum) s += w * *from++;
    }
    for (std::size_t k = 0; k < kChannels; ++k) to[kChannels * c + k] = rounded(sum[k]);
  }
}

// A new row of old ones: line(k) is the one that weight k is for.
template <class Line>
void down(const std::vector<std::int32_t>& weights, Line line, std::vector<std::int32_t>& sums,
          std::span<std::uint8_t> to) {
  sums.assign(to.size(), kHalf);
  for (std::size_t k = 0; k < weights.size(); ++k) {
    const std::uint8_t* const from = line(k);
    for (std::size_t c = 0; c < sums.size(); ++c) sums[c] += from[c] * weights[k];
  }
  std::ranges::transform(sums, to.begin(), rounded);
}

// Along the rows first. Of these, as many are kept as a new row is made of.
class AcrossThenDown final : public ResizedRows {
 public:
  AcrossThenDown(const Image& image, Filter filter, ImageSize to, Columns columns)
      : image_(image),
        down_{image.rows, to.rows, filter},
        across_(fixed_taps_of({image.cols, to.cols, filter}, columns)) {}

  void make(std::int64_t r, std::span<std::uint8_t> to) override {
    const FixedTaps taps = fixed(antialiased_taps(down_, r));
    keep(taps.first, taps.first + std::ssize(taps.weights));
    down(
        taps.weights, [this](std::size_t k) { return lines_[k].data(); }, sums_,
        to.first(kChannels * across_.size()));
  }

 private:
  // Old rows of these numbers are in lines_, in their order.
  void keep(std::int64_t first, std::int64_t end) {
    const std::int64_t stale = std::min(first - first_, held_);
    // Their memory is used again: they become the last.
    std::rotate(lines_.begin(), lines_.begin() + stale, lines_.end());
    held_ -= stale;
    first_ = first;
    const auto wanted = static_cast<std::size_t>(end - first);
    if (lines_.size() < wanted) lines_.resize(wanted);
    for (; held_ < end - first; ++held_) {
      std::vector<std::uint8_t>& line = lines_[static_cast<std::size_t>(held_)];
      line.resize(kChannels * across_.size());
      across(row_of(image_, first + held_), across_, line);
    }
  }

  const Image& image_;
  Axis down_;
  std::vector<FixedTaps> across_;
  std::vector<std::vector<std::uint8_t>> lines_;
  std::int64_t first_{};  // number of the old row in lines_.front()
  std::int64_t held_{};   // lines_ that hold a row
  std::vector<std::int32_t> sums_;
};

class DownThenAcross final : public ResizedRows {
 public:
  DownThenAcross(const Image& image, Filter filter, ImageSize to, Columns columns)
      : image_(image),
        down_{image.rows, to.rows, filter},
        across_(fixed_taps_of({image.cols, to.cols, filter}, columns)),
        line_(kChannels * static_cast<std::size_t>(image.cols)) {}

  void make(std::int64_t r, std::span<std::uint8_t> to) override {
    const FixedTaps taps = fixed(antialiased_taps(down_, r));
    down(
        taps.weights,
        [&](std::size_t k) { return row_of(image_, taps.first + static_cast<std::int64_t>(k)); },
        sums_, line_);
    across(line_.data(), across_, to);
  }

 private:
  const Image& image_;
  Axis down_;
  std::vector<FixedTaps> across_;
  std::vector<std::uint8_t> line_;
  std::vector<std::int32_t> sums_;
};

// Each axis rounds, so their order shows. Pillow 13 begins with the columns where more than twice
// as many rows go as columns; before 13 it never did.
bool goes_down_first(const Image& image, ImageSize to) {
  const std::int64_t rows = image.rows - to.rows;
  return rows > 0 && rows > 2 * (image.cols - to.cols);
}

}  // namespace

std::unique_ptr<ResizedRows> resized_rows(const Image& image, const std::optional<Resize>& resize,
                                          ImageSize to, Columns columns) {
  const Resize how = resize.value_or(Resize{.filter = Filter::nearest});
  const Filter filter = how.filter;
  if (filter != Filter::nearest && how.antialias) {
    if (goes_down_first(image, to)) {
      return std::make_unique<DownThenAcross>(image, filter, to, columns);
    }
    return std::make_unique<AcrossThenDown>(image, filter, to, columns);
  }
  return std::make_unique<Interpolated>(image, filter, to, columns);
}

}  // namespace lunart
