#include "pipeline/runs.hpp"

#include <algorithm>
#include <array>
#include <numeric>

namespace lunart {
namespace {

// The part of `a` that `b` covers too; both sorted and disjoint.
void intersect(const std::vector<Run>& a, std::span<const Run> b, std::vector<Run>& out) {
  out.clear();
  std::size_t j = 0;
  for (const Run& run : a) {
    while (j < b.size() && b[j].end <= run.begin) ++j;
    for (std::size_t k = j; k < b.size() && b[k].begin < run.end; ++k) {
      out.push_back({std::max(run.begin, b[k].begin), std::min(run.end, b[k].end)});
    }
  }
}

class UnionFind {
 public:
  explicit UnionFind(std::size_t n) : parent_(n) { std::iota(parent_.begin(), parent_.end(), 0U); }

  std::uint32_t root(std::uint32_t x) {
    while (parent_[x] != x) x = parent_[x] = parent_[parent_[x]];
    return x;
  }
  // The smaller root wins, so a component's root is its first run.
  void join(std::size_t a, std::size_t b) {
    const std::uint32_t ra = root(static_cast<std::uint32_t>(a));
    const std::uint32_t rb = root(static_cast<std::uint32_t>(b));
    parent_[std::max(ra, rb)] = std::min(ra, rb);
  }

 private:
  std::vector<std::uint32_t> parent_;
};

void join_overlaps(const RunMask& mask, RunMask::Range a, RunMask::Range b, UnionFind& sets) {
  const auto& runs = mask.runs();
  while (a.first < a.last && b.first < b.last) {
    const Run& ra = runs[a.first];
    const Run& rb = runs[b.first];
    if (ra.begin < rb.end && rb.begin < ra.end) sets.join(a.first, b.first);
    if (ra.end < rb.end) {
      ++a.first;
    } else {
      ++b.first;
    }
  }
}

}  // namespace

RunMask::RunMask(const IrcIndex& shape)
    : shape_(shape), rows_(static_cast<std::size_t>(shape.index * shape.row)) {}

void RunMask::append(std::int64_t index, std::int64_t row, Run run) {
  Range& range = rows_[static_cast<std::size_t>(index * shape_.row + row)];
  if (range.first == range.last) range = {runs_.size(), runs_.size()};
  runs_.push_back(run);
  ++range.last;
}

RunMask::Range RunMask::row(std::int64_t index, std::int64_t row) const noexcept {
  if (index < 0 || row < 0 || index >= shape_.index || row >= shape_.row) return {};
  return rows_[static_cast<std::size_t>(index * shape_.row + row)];
}

RunMask eroded(const RunMask& mask) {
  RunMask out(mask.shape());
  std::vector<Run> kept;
  std::vector<Run> next;
  for (std::int64_t i = 0; i < mask.shape().index; ++i) {
    for (std::int64_t r = 0; r < mask.shape().row; ++r) {
      const RunMask::Range own = mask.row(i, r);
      kept.clear();
      for (std::size_t k = own.first; k < own.last; ++k) {
        const Run run = mask.runs()[k];
        if (run.end - run.begin > 2) kept.push_back({run.begin + 1, run.end - 1});
      }
      const std::array<RunMask::Range, 4> neighbours{mask.row(i - 1, r), mask.row(i + 1, r),
                                                     mask.row(i, r - 1), mask.row(i, r + 1)};
      for (const RunMask::Range& n : neighbours) {
        if (kept.empty()) break;
        intersect(kept, std::span(mask.runs()).subspan(n.first, n.last - n.first), next);
        kept.swap(next);
      }
      for (const Run& run : kept) out.append(i, r, run);
    }
  }
  return out;
}

Components connected_components(const RunMask& mask) {
  UnionFind sets(mask.runs().size());
  for (std::int64_t i = 0; i < mask.shape().index; ++i) {
    for (std::int64_t r = 0; r < mask.shape().row; ++r) {
      const RunMask::Range own = mask.row(i, r);
      if (own.first == own.last) continue;
      join_overlaps(mask, own, mask.row(i, r - 1), sets);
      join_overlaps(mask, own, mask.row(i - 1, r), sets);
    }
  }
  Components out;
  out.of_run.resize(mask.runs().size());
  for (std::uint32_t k = 0; k < out.of_run.size(); ++k) {
    const std::uint32_t root = sets.root(k);
    out.of_run[k] = root == k ? ++out.count : out.of_run[root];
  }
  return out;
}

}  // namespace lunart
