#include "dicom/stacks.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <tuple>
#include <utility>

#include "io/text.hpp"

namespace lunart::dicom {
namespace {

constexpr double kSameDirection = 1e-3;
constexpr double kSameSpacing = 1e-3;  // of itself
// A few slices beside a whole stack are a scout without the name.
constexpr std::size_t kFewSlices = 3;
constexpr std::size_t kWholeStack = 10;
// A part of a stack is one of its own only when it is no handful of slices sent again.
constexpr std::size_t kLeastShare = 10;
constexpr std::size_t kMostGroups = 1000;

// What tells volumes apart that lie at the same place, and how to say it.
constexpr std::array<std::pair<Tag, const char*>, 6> kDistinctions{{
    {tag::kAcquisition, "acquisition"},
    {tag::kTemporalPosition, "temporal position"},
    {tag::kCardiacPhase, "cardiac phase"},
    {tag::kKernel, "kernel"},
    {tag::kKvp, "kVp"},
    {tag::kImageType, "image type"},
}};

struct Part {
  std::vector<Slice> slices;
  std::string detail;
};

bool same_direction(const Vec3& a, const Vec3& b) {
  return length(minus(a, b)) <= kSameDirection;
}

bool same_length(double a, double b) {
  return std::abs(a - b) <= kSameSpacing * std::max(a, b);
}

bool same_grid(const Slice& a, const Slice& b) {
  return a.rows == b.rows && a.cols == b.cols && same_length(a.row_step, b.row_step) &&
         same_length(a.col_step, b.col_step) && same_direction(a.along_row, b.along_row) &&
         same_direction(a.along_col, b.along_col) &&
         text_in(*a.source, tag::kFrameOfReference) == text_in(*b.source, tag::kFrameOfReference);
}

void sort_along_normal(std::vector<Slice>& slices) {
  const Vec3 normal = slices.front().normal;
  const Vec3 start = slices.front().position;
  // Differences, so that a far origin costs no digits.
  const auto place = [&](const Slice& s) { return dot(minus(s.position, start), normal); };
  std::ranges::sort(slices, [&](const Slice& a, const Slice& b) {
    return std::tuple(place(a), a.number, std::cref(a.source->file).get(), a.source->frame) <
           std::tuple(place(b), b.number, std::cref(b.source->file).get(), b.source->frame);
  });
}

// Slices at one place that are not one instance sent twice.
bool has_rivals(std::vector<Slice> slices) {
  sort_along_normal(slices);
  const std::vector<double> places = places_of(slices);
  for (std::size_t i = 1; i < slices.size(); ++i) {
    if (places[i] - places[i - 1] > kSamePlaceMm) continue;
    const std::string uid = text_in(*slices[i].source, tag::kSopInstance);
    if (uid.empty() || uid != text_in(*slices[i - 1].source, tag::kSopInstance)) return true;
  }
  return false;
}

std::vector<Part> by_grid(std::vector<Slice> slices) {
  std::vector<Part> parts;
  for (Slice& slice : slices) {
    const auto home = std::ranges::find_if(
        parts, [&](const Part& p) { return same_grid(p.slices.front(), slice); });
    if (home != parts.end()) {
      home->slices.push_back(std::move(slice));
    } else if (parts.size() < kMostGroups) {
      parts.push_back({.slices = {std::move(slice)}, .detail = {}});
    } else {
      parts.back().slices.push_back(std::move(slice));
    }
  }
  if (parts.size() > 1) {
    for (Part& part : parts) {
      const Slice& s = part.slices.front();
      const std::array<double, 3> normal = s.normal;
      part.detail = std::to_string(s.cols) + " x " + std::to_string(s.rows) + " pixels of " +
                    text_of(s.col_step) + " x " + text_of(s.row_step) + " mm, normal " +
                    text_of(normal);
    }
  }
  return parts;
}

// A stack that holds the same places several times becomes several, when one element tells them
// apart; else it stays, and the plan compares its pixels.
std::vector<Part> by_distinction(Part part) {
  std::vector<Part> parts;
  if (has_rivals(part.slices)) {
    for (const auto& [tag, word] : kDistinctions) {
      std::map<std::string, Part> groups;
      for (const Slice& slice : part.slices) {
        const std::string value = text_in(*slice.source, tag);
        Part& group = groups[value];
        group.slices.push_back(slice);
        group.detail = part.detail + (part.detail.empty() ? "" : ", ") + word + " " +
                       (value.empty() ? "unknown" : in_quotes(value));
      }
      const bool separates = groups.size() > 1 && std::ranges::all_of(groups, [&](const auto& g) {
                               return g.second.slices.size() > 1 &&
                                      g.second.slices.size() * kLeastShare >= part.slices.size() &&
                                      !has_rivals(g.second.slices);
                             });
      if (!separates) continue;
      for (auto& [value, group] : groups) parts.push_back(std::move(group));
      return parts;
    }
  }
  parts.push_back(std::move(part));
  return parts;
}

std::vector<Part> parts_of(std::vector<Slice> slices) {
  std::vector<Part> parts;
  for (Part& grid : by_grid(std::move(slices))) {
    std::ranges::move(by_distinction(std::move(grid)), std::back_inserter(parts));
  }
  std::ranges::stable_sort(parts, [](const Part& a, const Part& b) {
    return std::tuple(b.slices.size(), std::cref(a.detail).get()) <
           std::tuple(a.slices.size(), std::cref(b.detail).get());
  });
  return parts;
}

Series described(const Instance& first, const std::string& uid) {
  return {.id = uid,
          .series_uid = uid,
          .study_uid = printable(text_in(first, tag::kStudy)),
          .description = printable(text_in(first, tag::kSeriesDescription)),
          .detail = {},
          .modality = printable(text_in(first, tag::kModality)),
          .slices = 0,
          .spacing = {},
          .unusable = {}};
}

// Reasons with how many slices each, the most frequent first.
std::vector<std::string> counted(const std::vector<std::string>& reasons) {
  std::map<std::string, std::size_t> counts;
  for (const std::string& reason : reasons) ++counts[reason];
  std::vector<std::pair<std::string, std::size_t>> sorted(counts.begin(), counts.end());
  std::ranges::stable_sort(sorted, std::greater{}, [](const auto& entry) { return entry.second; });
  std::vector<std::string> list;
  list.reserve(sorted.size());
  for (const auto& [reason, count] : sorted) {
    list.push_back(std::to_string(count) + " (" + reason + ")");
  }
  return list;
}

void append_series(const std::string& uid, std::vector<Slice> all, std::vector<Stack>& stacks) {
  const Instance& first = *all.front().source;
  std::vector<Slice> good;
  std::vector<std::string> faults;
  std::vector<std::string> left_out;
  for (Slice& slice : all) {
    if (!slice.left_out.empty()) {
      left_out.push_back(slice.left_out);
    } else if (!slice.fault.empty()) {
      faults.push_back(name_of(*slice.source) + ": " + slice.fault);
    } else {
      good.push_back(std::move(slice));
    }
  }
  if (good.empty()) {
    Stack stack{.series = described(first, uid), .slices = {}, .faults = faults, .left_out = {}};
    stack.series.slices = all.size();
    stack.series.unusable = faults.empty() ? counted(left_out).front() : faults.front();
    if (faults.empty()) {
      // "12 (modality "MR", not CT)" reads badly where all are the same.
      const bool is_same =
          std::ranges::all_of(left_out, [&](const auto& r) { return r == left_out.front(); });
      if (is_same) stack.series.unusable = left_out.front();
    }
    stacks.push_back(std::move(stack));
    return;
  }
  std::vector<Part> parts = parts_of(std::move(good));
  const std::size_t most = parts.front().slices.size();
  while (parts.size() > 1 && most >= kWholeStack && parts.back().slices.size() <= kFewSlices) {
    left_out.insert(left_out.end(), parts.back().slices.size(),
                    "another stack: " + parts.back().detail);
    parts.pop_back();
  }
  for (std::size_t i = 0; i < parts.size(); ++i) {
    std::vector<Slice>& slices = parts[i].slices;
    sort_along_normal(slices);
    Stack stack{.series = described(*slices.front().source, uid),
                .slices = {},
                .faults = faults,
                .left_out = counted(left_out)};
    if (parts.size() > 1) {
      stack.series.id += "#" + std::to_string(i + 1);
      stack.series.detail = parts[i].detail;
    }
    stack.series.slices = slices.size();
    stack.series.rows = slices.front().rows;
    stack.series.cols = slices.front().cols;
    stack.series.spacing = {slices.front().col_step, slices.front().row_step,
                            usual_step(places_of(slices))};
    stack.slices = std::move(slices);
    stacks.push_back(std::move(stack));
  }
}

}  // namespace

std::vector<double> places_of(const std::vector<Slice>& slices) {
  std::vector<double> places;
  places.reserve(slices.size());
  for (const Slice& s : slices) {
    places.push_back(dot(minus(s.position, slices.front().position), slices.front().normal));
  }
  return places;
}

double usual_step(const std::vector<double>& places) {
  std::vector<double> steps;
  for (std::size_t i = 1; i < places.size(); ++i) {
    const double step = places[i] - places[i - 1];
    if (step > kSamePlaceMm) steps.push_back(step);
  }
  if (steps.empty()) return 0;
  const auto middle = steps.begin() + static_cast<std::ptrdiff_t>((steps.size() - 1) / 2);
  std::ranges::nth_element(steps, middle);
  return *middle;
}

std::vector<Stack> stacks_of(std::span<const Instance> instances) {
  std::map<std::string, std::vector<Slice>> series;
  for (std::size_t i = 0; i < instances.size(); ++i) {
    series[printable(text_in(instances[i], tag::kSeries))].push_back(slice_of(instances[i], i));
  }
  std::vector<Stack> stacks;
  for (auto& [uid, slices] : series) append_series(uid, std::move(slices), stacks);
  std::ranges::stable_sort(stacks, {}, [](const Stack& s) { return !s.series.unusable.empty(); });
  return stacks;
}

}  // namespace lunart::dicom
