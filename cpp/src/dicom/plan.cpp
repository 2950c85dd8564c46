#include "dicom/plan.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <numeric>
#include <string_view>
#include <utility>

#include "dicom/slice.hpp"
#include "dicom/stacks.hpp"
#include "io/text.hpp"
#include "io/uid.hpp"
#include "lunart/error.hpp"

namespace lunart::dicom {
namespace {

// Positions are written with few decimals: a slice may lie this far from an even step.
constexpr double kEvenMm = 0.05;
constexpr double kEvenShare = 0.05;     // of the step
constexpr double kNoticedShare = 0.01;  // of the step, and
constexpr double kNoticedMm = 0.02;     // beyond both, a warning says so
constexpr double kMostShift = 0.5;      // of a voxel: beyond, slices do not lie behind each other
constexpr double kTagTilt = 0.5;        // degrees that a tag may claim without a word
constexpr std::size_t kMostNamed = 8;

[[noreturn]] void fail(const Request& request, const std::string& what) {
  throw Error(Errc::scan, printable(request.source) + ": " + what);
}

std::string rounded(double value, double digits = 1000) {
  const double r = std::round(value * digits) / digits;
  return text_of(r == 0 ? 0.0 : r);
}

std::string counted(std::size_t n, std::string_view what) {
  return std::to_string(n) + " " + std::string(what) + (n == 1 ? "" : "s");
}

// The first few of a list, and how many more.
std::string listed(const std::vector<std::string>& items, std::string_view separator = ", ") {
  std::string out;
  for (std::size_t i = 0; i < std::min(items.size(), kMostNamed); ++i) {
    if (i > 0) out += separator;
    out += items[i];
  }
  if (items.size() > kMostNamed) {
    out += std::string(separator) + "and " + std::to_string(items.size() - kMostNamed) + " more";
  }
  return out;
}

// Places along the axis of the patient that the stack follows best.
class Axis {
 public:
  explicit Axis(const Slice& first) : origin_(first.position), normal_(first.normal) {
    for (std::size_t i = 1; i < 3; ++i) {
      if (std::abs(normal_[i]) > std::abs(normal_[axis_])) axis_ = i;
    }
  }
  // `t` mm from the first slice: "z = -12.5 mm".
  [[nodiscard]] std::string at(double t) const {
    return std::string(1, "xyz"[axis_]) + " = " + rounded(origin_[axis_] + t * normal_[axis_]) +
           " mm";
  }

 private:
  Vec3 origin_, normal_;
  std::size_t axis_{};
};

// The stack that was asked for, or the only one.
Stack chosen(std::span<const Instance> instances, const Request& request) {
  std::vector<Stack> stacks = stacks_of(instances);
  if (stacks.empty()) fail(request, "holds no DICOM file");
  std::vector<Series> all;
  std::vector<Stack*> found;
  for (Stack& stack : stacks) {
    all.push_back(stack.series);
    const bool is_asked = request.series.empty() ? stack.series.unusable.empty()
                                                 : request.series == stack.series.id ||
                                                       request.series == stack.series.series_uid;
    if (is_asked) found.push_back(&stack);
  }
  const std::string list = ":\n" + list_text(all);
  if (found.empty() && !request.series.empty()) {
    throw Error(Errc::usage, printable(request.source) + ": holds no series " +
                                 in_quotes(request.series) + "; it holds" + list);
  }
  if (found.empty()) {
    if (all.size() == 1) {
      fail(request, "no CT series that can be read: " + all.front().unusable);
    }
    fail(request, "no CT series that can be read" + list);
  }
  if (found.size() > 1) {
    fail(request, (request.series.empty() ? "holds " + std::to_string(found.size()) + " series"
                                          : "this series holds " + std::to_string(found.size()) +
                                                " stacks of slices that are no one volume") +
                      "; choose one by its identifier (series_uid=, --series)" + list);
  }
  Stack& stack = *found.front();
  if (!stack.series.unusable.empty()) {
    fail(request, "series " + stack.series.id + " cannot be read: " + stack.series.unusable);
  }
  if (!stack.faults.empty()) {
    fail(request,
         counted(stack.faults.size(), "damaged slice") + ": " + listed(stack.faults, "; "));
  }
  return std::move(stack);
}

StoredSlice stored(const Slice& s) {
  return {.instance = s.instance,
          .slope = s.slope,
          .intercept = s.intercept,
          .name = name_of(*s.source)};
}

class Planner {
 public:
  Planner(const Stack& stack, const Request& request)
      : stack_(stack), request_(request), axis_(stack.slices.front()) {
    plan_.source = request.source;
    plan_.series_uid = uid_or_empty(stack.series.series_uid);
    plan_.on_duplicate = request.on_duplicate;
    plan_.rows = stack.series.rows;
    plan_.cols = stack.series.cols;
  }

  Plan plan() && {
    if (!stack_.left_out.empty()) {
      warn("dicom-left-out", "files that are no slice of this volume: " + listed(stack_.left_out));
    }
    merge_twins();
    set_step();
    set_geometry();
    straighten();
    check_values();
    plan_.geometry.validate(request_.source.c_str());
    return std::move(plan_);
  }

 private:
  void warn(const char* code, std::string text) {
    plan_.warnings.push_back({code, std::move(text)});
  }

  // Slices at one place become one with twins.
  void merge_twins() {
    const std::vector<double> places = places_of(stack_.slices);
    for (std::size_t i = 0; i < stack_.slices.size(); ++i) {
      const Slice& slice = stack_.slices[i];
      if (!places_.empty() && places[i] - places_.back() <= kSamePlaceMm) {
        plan_.slices.back().twins.push_back(stored(slice));
        continue;
      }
      PlannedSlice planned;
      static_cast<StoredSlice&>(planned) = stored(slice);
      planned.place = axis_.at(places[i]);
      plan_.slices.push_back(std::move(planned));
      places_.push_back(places[i]);
      kept_.push_back(&slice);
    }
  }

  // Fills `volume`, and finds the step between its slices.
  void set_step() {
    const std::size_t n = places_.size();
    if (n == 1) {
      const auto step = planned_step(*kept_.front()->source);
      step_ = step.value_or(1);
      warn("dicom-one-slice", "one slice alone; its thickness is taken as " + rounded(step_) +
                                  " mm" + (step ? "" : ", for the file names none"));
      take_as_they_are();
      return;
    }
    step_ = places_.back() / static_cast<double>(n - 1);
    const double worst = worst_offset(step_, identity(n));
    if (worst <= tolerance(step_)) {
      if (worst > std::max(kNoticedMm, kNoticedShare * step_)) {
        warn("dicom-spacing", "slices lie up to " + rounded(worst) + " mm beside an even step of " +
                                  rounded(step_) + " mm; they are taken as even");
      }
      take_as_they_are();
      return;
    }
    const double usual = usual_step(places_);
    double least = usual;
    for (std::size_t i = 1; i < n; ++i) least = std::min(least, places_[i] - places_[i - 1]);
    for (const double step : {usual, least}) {
      if (const std::vector<double> counts = whole_steps(step); !counts.empty()) {
        fill_missing(counts);
        return;
      }
    }
    resample_uneven(usual);
  }

  [[nodiscard]] static std::vector<double> identity(std::size_t n) {
    std::vector<double> counts(n);
    std::iota(counts.begin(), counts.end(), 0.0);
    return counts;
  }

  [[nodiscard]] static double tolerance(double step) {
    // Never as much as half a step: then nothing could be missing.
    return std::min(std::max(kEvenMm, kEvenShare * step), 0.25 * step);
  }

  [[nodiscard]] double worst_offset(double step, const std::vector<double>& counts) const {
    double worst = 0;
    for (std::size_t i = 0; i < places_.size(); ++i) {
      worst = std::max(worst, std::abs(places_[i] - counts[i] * step));
    }
    return worst;
  }

  // The number of steps from the first slice to each, where all are whole numbers; else empty.
  [[nodiscard]] std::vector<double> whole_steps(double step) const {
    std::vector<double> counts{0};
    for (std::size_t i = 1; i < places_.size(); ++i) {
      const double n = std::round((places_[i] - places_[i - 1]) / step);
      if (n < 1) return {};
      counts.push_back(counts.back() + n);
    }
    const double even = places_.back() / counts.back();
    return worst_offset(even, counts) <= tolerance(even) ? counts : std::vector<double>{};
  }

  void take_as_they_are() {
    for (std::size_t i = 0; i < plan_.slices.size(); ++i) plan_.volume.push_back({i, i, 0});
  }

  void fill_missing(const std::vector<double>& counts) {
    step_ = places_.back() / counts.back();
    const double missing = counts.back() + 1 - static_cast<double>(places_.size());
    std::vector<std::string> gaps;
    for (std::size_t i = 1; i < counts.size(); ++i) {
      const double n = counts[i] - counts[i - 1] - 1;
      if (n < 1) continue;
      gaps.push_back(rounded(n, 1) + " between " + between(i));
    }
    const std::string what =
        rounded(missing, 1) + (missing == 1 ? " slice is" : " slices are") +
        " missing (usual step " + rounded(step_) + " mm): " + listed(gaps, "; ") +
        (stack_.left_out.empty() ? "" : "; files that are no slice: " + listed(stack_.left_out));
    // More than was measured must not be made up, whoever asks.
    if (missing > static_cast<double>(places_.size())) {
      fail(request_, what + "; too many to fill: get the whole series");
    }
    if (request_.on_gap == OnGap::refuse) {
      fail(request_, what +
                         "; get the whole series, or have them interpolated linearly from their "
                         "neighbours (on_gap=\"fill\", --on-gap fill)");
    }
    warn("dicom-gap-filled", what + "; interpolated linearly from their neighbours");
    interpolate(static_cast<std::size_t>(counts.back()) + 1);
  }

  void resample_uneven(double usual) {
    const double steps = std::round(places_.back() / usual);
    std::vector<std::string> odd;
    for (std::size_t i = 1; i < places_.size(); ++i) {
      const double step = places_[i] - places_[i - 1];
      if (std::abs(step - usual) > tolerance(usual)) {
        odd.push_back(rounded(step) + " mm between " + between(i));
      }
    }
    if (odd.empty()) odd.push_back("small differences that add up");
    const std::string what =
        "slices are spaced unevenly (usual step " + rounded(usual) + " mm): " + listed(odd, "; ");
    if (steps + 1 > 2 * static_cast<double>(places_.size())) {
      fail(request_, what + "; too uneven to resample: get the whole series");
    }
    if (request_.on_gap == OnGap::refuse) {
      fail(request_, what +
                         "; have them resampled linearly to an even step (on_gap=\"fill\", "
                         "--on-gap fill)");
    }
    const auto count = static_cast<std::size_t>(std::max(steps, 1.0)) + 1;
    step_ = places_.back() / static_cast<double>(count - 1);
    warn("dicom-resampled", what + "; resampled linearly to " + counted(count, "slice") +
                                " every " + rounded(step_) + " mm");
    interpolate(count);
  }

  [[nodiscard]] std::string between(std::size_t i) const {
    return plan_.slices[i - 1].place + " (" + plan_.slices[i - 1].name + ") and " +
           plan_.slices[i].place + " (" + plan_.slices[i].name + ")";
  }

  // `count` slices every step_; one that lies where a slice was measured is that slice.
  void interpolate(std::size_t count) {
    std::size_t lower = 0;
    for (std::size_t k = 0; k < count; ++k) {
      const double t = static_cast<double>(k) * step_;
      while (lower + 2 < places_.size() && places_[lower + 1] <= t) ++lower;
      const double width = places_[lower + 1] - places_[lower];
      const double near = std::min(tolerance(step_), 0.5 * width);
      if (std::abs(t - places_[lower]) <= near) {
        plan_.volume.push_back({lower, lower, 0});
      } else if (std::abs(t - places_[lower + 1]) <= near) {
        plan_.volume.push_back({lower + 1, lower + 1, 0});
      } else {
        const double weight = std::clamp((t - places_[lower]) / width, 0.0, 1.0);
        plan_.volume.push_back({lower, lower + 1, weight});
      }
    }
  }

  void set_geometry() {
    const Slice& first = *kept_.front();
    Geometry& g = plan_.geometry;
    g.shape = {.index = static_cast<std::int64_t>(plan_.volume.size()),
               .row = plan_.rows,
               .col = plan_.cols};
    g.spacing = {.x = first.col_step, .y = first.row_step, .z = step_};
    g.origin = {.x = first.position[0], .y = first.position[1], .z = first.position[2]};
    for (std::size_t i = 0; i < 3; ++i) {
      g.direction[3 * i] = first.along_row[i];
      g.direction[3 * i + 1] = first.along_col[i];
      g.direction[3 * i + 2] = first.normal[i];
    }
  }

  // Slices that do not lie behind one another: the gantry was tilted, or the table moved aside.
  void straighten() {
    const Slice& first = *kept_.front();
    double least_row = 0, most_row = 0, least_col = 0, most_col = 0;
    for (std::size_t i = 0; i < kept_.size(); ++i) {
      const Vec3 moved = minus(kept_[i]->position, first.position);
      plan_.slices[i].shift_col = dot(moved, first.along_row) / first.col_step;
      plan_.slices[i].shift_row = dot(moved, first.along_col) / first.row_step;
      least_row = std::min(least_row, plan_.slices[i].shift_row);
      most_row = std::max(most_row, plan_.slices[i].shift_row);
      least_col = std::min(least_col, plan_.slices[i].shift_col);
      most_col = std::max(most_col, plan_.slices[i].shift_col);
    }
    const double tagged = number_in(*first.source, tag::kTilt).value_or(0);
    if (std::max(most_row - least_row, most_col - least_col) <= kMostShift) {
      for (PlannedSlice& slice : plan_.slices) slice.shift_row = slice.shift_col = 0;
      if (kept_.size() > 1 && !plan_.is_resampled()) {  // as SimpleITK, to the last digit
        plan_.geometry.spacing.z = length(minus(kept_.back()->position, first.position)) /
                                   static_cast<double>(kept_.size() - 1);
      }
      if (std::abs(tagged) > kTagTilt && std::abs(first.normal[2]) > std::cos(kTagTilt / 180)) {
        warn("dicom-tilt", "GantryDetectorTilt says " + rounded(tagged) +
                               " degrees, positions and orientation none; they are believed");
      }
      return;
    }
    const Vec3 last = minus(kept_.back()->position, first.position);
    const double across =
        std::sqrt(std::max(0.0, dot(last, last) - places_.back() * places_.back()));
    const std::string what =
        "slices do not lie straight behind one another: the gantry was tilted by " +
        rounded(std::atan2(across, places_.back()) * 180 / std::numbers::pi, 100) +
        " degrees (or the table moved), shifting slices by up to " +
        rounded(std::max((most_row - least_row) * first.row_step,
                         (most_col - least_col) * first.col_step),
                100) +
        " mm";
    if (request_.on_tilt == OnTilt::refuse) {
      fail(request_, what +
                         "; have each slice shifted to its place by linear interpolation "
                         "(on_tilt=\"resample\", --on-tilt resample)");
    }
    // A grid that holds every slice whole.
    const double row0 = std::floor(least_row);
    const double col0 = std::floor(least_col);
    Geometry& g = plan_.geometry;
    g.shape.row += static_cast<std::int64_t>(std::ceil(most_row) - row0);
    g.shape.col += static_cast<std::int64_t>(std::ceil(most_col) - col0);
    g.origin = g.to_xyz({.index = 0, .row = row0, .col = col0});
    for (PlannedSlice& slice : plan_.slices) {
      slice.shift_row -= row0;
      slice.shift_col -= col0;
    }
    warn("dicom-tilt-resampled", what +
                                     "; each slice was shifted to its place by linear "
                                     "interpolation, " +
                                     std::to_string(g.shape.col) + " x " +
                                     std::to_string(g.shape.row) +
                                     " voxels, -1000 HU where nothing was measured");
  }

  void check_values() {
    std::vector<std::string> bare;
    for (const Slice* const slice : kept_) {
      if (!slice->has_rescale) bare.push_back(name_of(*slice->source));
    }
    if (bare.empty()) return;
    const std::string what =
        counted(bare.size(), "slice") + " without RescaleSlope and RescaleIntercept";
    if (bare.size() < kept_.size()) {
      fail(request_, what + ", which the others have: " + listed(bare));
    }
    warn("dicom-rescale", what + ": their stored values are taken as Hounsfield units");
  }

  const Stack& stack_;
  const Request& request_;
  Axis axis_;
  Plan plan_;
  std::vector<double> places_;      // of plan_.slices: mm from the first
  std::vector<const Slice*> kept_;  // of plan_.slices
  double step_{};
};

}  // namespace

bool Plan::is_resampled() const {
  if (geometry.shape.row != rows || geometry.shape.col != cols) return true;
  if (volume.size() != slices.size()) return true;
  for (std::size_t i = 0; i < volume.size(); ++i) {
    if (volume[i].lower != i || volume[i].upper != i) return true;
  }
  return false;
}

Plan make_plan(std::span<const Instance> instances, const Request& request) {
  const Stack stack = chosen(instances, request);
  if (!request.damaged.empty()) {
    fail(request, counted(request.damaged.size(), "damaged DICOM file") + ", which may belong to " +
                      "the series: get them again, or take them away to read the rest: " +
                      listed(request.damaged, "; "));
  }
  return Planner(stack, request).plan();
}

}  // namespace lunart::dicom
