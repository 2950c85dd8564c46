#include "dicom/assemble.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "io/hu_buffer.hpp"
#include "io/text.hpp"
#include "lunart/error.hpp"

namespace lunart::dicom {
namespace {

constexpr double kAir = -1000;
constexpr std::size_t kMostNamed = 8;

// HU of a slice on the volume's grid.
struct Plane {
  std::vector<double> hu;
  bool is_whole{};  // every value a whole number, as from a scanner
};

bool are_whole(const std::vector<double>& values) {
  return std::ranges::all_of(values, [](double v) { return v == std::trunc(v); });
}

// `hu` moved by (shift_row, shift_col) voxels into a larger plane, linearly between voxels.
std::vector<double> shifted(const std::vector<double>& hu, const Plan& plan, double shift_row,
                            double shift_col) {
  const auto cols = static_cast<std::size_t>(plan.geometry.shape.col);
  const auto rows = static_cast<std::size_t>(plan.geometry.shape.row);
  const auto first_row = static_cast<std::size_t>(shift_row);
  const auto first_col = static_cast<std::size_t>(shift_col);
  const double down = shift_row - std::floor(shift_row);
  const double right = shift_col - std::floor(shift_col);
  const auto in_rows = static_cast<std::size_t>(plan.rows);
  const auto in_cols = static_cast<std::size_t>(plan.cols);
  const auto value = [&](std::size_t r, std::size_t c) {
    return r < in_rows && c < in_cols ? hu[r * in_cols + c] : kAir;  // -1 wraps around
  };
  std::vector<double> out(rows * cols, kAir);
  for (std::size_t r = 0; r <= in_rows && first_row + r < rows; ++r) {
    for (std::size_t c = 0; c <= in_cols && first_col + c < cols; ++c) {
      out[(first_row + r) * cols + first_col + c] =
          (1 - down) * ((1 - right) * value(r, c) + right * value(r, c - 1)) +
          down * ((1 - right) * value(r - 1, c) + right * value(r - 1, c - 1));
    }
  }
  return out;
}

}  // namespace

struct Assembler::Impl {
  explicit Impl(Plan given)
      : plan(std::move(given)),
        voxels((plan.geometry.validate(plan.source.c_str()), plan.geometry.voxel_count()),
               printable(plan.source)) {}

  [[nodiscard]] std::size_t stored_pixels() const {
    return static_cast<std::size_t>(plan.rows * plan.cols);
  }

  void require_size(const StoredSlice& slice, std::size_t found) const {
    if (found == stored_pixels()) return;
    throw Error(Errc::scan, slice.name + ": holds " + std::to_string(found) + " pixels, not " +
                                std::to_string(plan.cols) + " x " + std::to_string(plan.rows));
  }

  template <class T>
  std::vector<double> hu_of(const StoredSlice& slice, std::span<const T> pixels) const {
    require_size(slice, pixels.size());
    std::vector<double> hu(pixels.size());
    std::ranges::transform(pixels, hu.begin(),
                           [&](T v) { return slice.slope * v + slice.intercept; });
    return hu;
  }

  // A plain stack: no copy of a slice is held.
  template <class T>
  void append_directly(const PlannedSlice& slice, std::span<const T> pixels) {
    require_size(slice, pixels.size());
    const double slope = slice.slope;
    const double intercept = slice.intercept;
    const bool is_whole = slope == std::trunc(slope) && std::abs(slope) < 1e6 &&
                          intercept == std::trunc(intercept) && std::abs(intercept) < 1e9;
    if (is_whole) {
      const auto a = static_cast<std::int64_t>(slope);
      const auto b = static_cast<std::int64_t>(intercept);
      voxels.append(pixels.size(), [=](std::size_t i) { return a * pixels[i] + b; });
    } else {
      voxels.append(pixels.size(), [=](std::size_t i) { return slope * pixels[i] + intercept; });
    }
  }

  // Writes every slice of the volume that needs nothing later than slice `last`.
  void advance(std::size_t last) {
    while (written < plan.volume.size() && plan.volume[written].upper <= last) {
      const VolumeSlice& v = plan.volume[written];
      const auto plane = [&](std::size_t i) -> const Plane& { return i == last ? now : before; };
      const std::vector<double>& a = plane(v.lower).hu;
      if (v.lower == v.upper) {
        voxels.append(a.size(), [&](std::size_t i) { return a[i]; });
      } else {
        const std::vector<double>& b = plane(v.upper).hu;
        // Whole numbers stay whole: half a unit is far below noise, and the scan stays int16.
        const bool rounds = plane(v.lower).is_whole && plane(v.upper).is_whole;
        voxels.append(a.size(), [&](std::size_t i) {
          const double hu = (1 - v.weight) * a[i] + v.weight * b[i];
          return rounds ? std::nearbyint(hu) : hu;
        });
      }
      ++written;
    }
  }

  Plan plan;
  HuBuffer voxels;
  std::size_t appended{};        // slices so far
  std::size_t compared{};        // twins of the last one so far
  std::size_t written{};         // slices of the volume
  Plane before, now;             // the last two slices, where the volume is interpolated
  std::vector<double> original;  // of the last slice, where it has twins
  std::vector<std::string> same, different;
};

Assembler::Assembler(Plan plan) : impl_(std::make_unique<Impl>(std::move(plan))) {}
Assembler::~Assembler() = default;
Assembler::Assembler(Assembler&&) noexcept = default;
Assembler& Assembler::operator=(Assembler&&) noexcept = default;

void Assembler::append(const Stored& pixels) {
  Impl& self = *impl_;
  if (self.appended >= self.plan.slices.size()) {
    throw Error(Errc::internal, "more slices than planned");
  }
  const std::size_t number = self.appended;
  const PlannedSlice& slice = self.plan.slices[number];
  const bool is_plain = !self.plan.is_resampled();
  const bool is_shifted = self.plan.geometry.shape.row != self.plan.rows ||
                          self.plan.geometry.shape.col != self.plan.cols;
  std::visit(
      [&](auto span) {
        if (!slice.twins.empty()) self.original = self.hu_of(slice, span);
        if (is_plain) {
          self.append_directly(slice, span);
          ++self.written;
          return;
        }
        self.before = std::move(self.now);
        self.now.hu = self.hu_of(slice, span);
        self.now.is_whole = are_whole(self.now.hu);
        if (is_shifted) {
          self.now.hu = shifted(self.now.hu, self.plan, slice.shift_row, slice.shift_col);
          if (self.now.is_whole) {
            std::ranges::transform(self.now.hu, self.now.hu.begin(),
                                   [](double v) { return std::nearbyint(v); });
          }
        }
        self.advance(number);
      },
      pixels);
  ++self.appended;
  self.compared = 0;
}

void Assembler::compare(const Stored& pixels) {
  Impl& self = *impl_;
  if (self.appended == 0 || self.compared >= self.plan.slices[self.appended - 1].twins.size()) {
    throw Error(Errc::internal, "more twins than planned");
  }
  const PlannedSlice& slice = self.plan.slices[self.appended - 1];
  const StoredSlice& twin = slice.twins[self.compared++];
  const bool is_same =
      std::visit([&](auto span) { return self.hu_of(twin, span) == self.original; }, pixels);
  if (is_same) {
    self.same.push_back(twin.name + " (as " + slice.name + ")");
    return;
  }
  const std::string what =
      "two different slices at " + slice.place + ": " + slice.name + " and " + twin.name;
  if (self.plan.on_duplicate == OnDuplicate::refuse) {
    throw Error(Errc::scan, printable(self.plan.source) + ": " + what +
                                "; remove one, or take the one with the lowest instance number "
                                "(on_duplicate=\"first\", --on-duplicate first)");
  }
  self.different.push_back(twin.name + " (" + slice.place + ", for " + slice.name + ")");
}

Volume Assembler::finish() && {
  Impl& self = *impl_;
  if (self.appended != self.plan.slices.size() || self.written != self.plan.volume.size()) {
    throw Error(Errc::internal, "fewer slices than planned");
  }
  if (self.voxels.not_finite() > 0) {
    throw Error(Errc::scan, printable(self.plan.source) + ": " +
                                std::to_string(self.voxels.not_finite()) +
                                " voxels are no numbers after slope and intercept");
  }
  const auto warn = [&](const char* code, const std::vector<std::string>& names,
                        const std::string& what) {
    if (names.empty()) return;
    std::string text =
        std::to_string(names.size()) + (names.size() == 1 ? " slice was " : " slices were ") + what;
    for (std::size_t i = 0; i < std::min(names.size(), kMostNamed); ++i) {
      text += (i == 0 ? ": " : ", ") + names[i];
    }
    if (names.size() > kMostNamed) {
      text += ", and " + std::to_string(names.size() - kMostNamed) + " more";
    }
    self.plan.warnings.push_back({code, std::move(text)});
  };
  warn("dicom-copies", self.same, "there twice with the same voxels; once is taken");
  warn("dicom-duplicates", self.different,
       "left out for another one at the same place, with other voxels");
  return {.geometry = self.plan.geometry,
          .hu = self.voxels.hu(),
          .storage = self.voxels.storage(),
          .series_uid = self.plan.series_uid,
          .path = self.plan.source,
          .warnings = std::move(self.plan.warnings)};
}

}  // namespace lunart::dicom
