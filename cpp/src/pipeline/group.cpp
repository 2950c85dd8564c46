#include "pipeline/group.hpp"

#include <algorithm>
#include <array>

namespace lunart {
namespace {

struct CentreSum {
  double weight{}, index{}, row{}, col{};
  std::uint64_t voxels{};
};

std::vector<CentreSum> centre_sums(const RunMask& mask, const Components& components,
                                   const Volume& volume, HuWindow window) {
  std::vector<CentreSum> sums(components.count);
  const IrcIndex n = volume.geometry.shape;
  std::visit(
      [&](auto voxels) {
        for (std::int64_t i = 0; i < n.index; ++i) {
          for (std::int64_t r = 0; r < n.row; ++r) {
            const RunMask::Range range = mask.row(i, r);
            const auto line = static_cast<std::size_t>((i * n.row + r) * n.col);
            for (std::size_t k = range.first; k < range.last; ++k) {
              CentreSum& sum = sums[components.of_run[k] - 1];
              const Run run = mask.runs()[k];
              double weight = 0;
              double col = 0;
              for (std::int32_t c = run.begin; c < run.end; ++c) {
                const float hu =
                    std::clamp(static_cast<float>(voxels[line + static_cast<std::size_t>(c)]),
                               window.low, window.high);
                const double w = static_cast<double>(hu) - window.low + 1;
                weight += w;
                col += w * c;
              }
              sum.weight += weight;
              sum.index += weight * static_cast<double>(i);
              sum.row += weight * static_cast<double>(r);
              sum.col += col;
              sum.voxels += static_cast<std::uint64_t>(run.end - run.begin);
            }
          }
        }
      },
      volume.hu);
  return sums;
}

// The label of every voxel of `mask`, row by row as its runs lie; grown from the eroded components.
class Growth {
 public:
  Growth(const RunMask& mask, const RunMask& seeds, const Components& components)
      : mask_(mask), offset_(mask.runs().size()), place_(mask.runs().size()) {
    std::size_t total = 0;
    const IrcIndex& n = mask.shape();
    for (std::int64_t i = 0; i < n.index; ++i) {
      for (std::int64_t r = 0; r < n.row; ++r) {
        const RunMask::Range range = mask.row(i, r);
        for (std::size_t k = range.first; k < range.last; ++k) {
          place_[k] = {i, r};
          offset_[k] = total;
          total += static_cast<std::size_t>(mask.runs()[k].end - mask.runs()[k].begin);
        }
      }
    }
    labels_.resize(total);
    plant(seeds, components);
    grow();
  }

  // Runs of equal label, in raster order.
  [[nodiscard]] std::vector<LabelRun> label_runs() const {
    std::vector<LabelRun> out;
    for (std::size_t k = 0; k < mask_.runs().size(); ++k) {
      const Run run = mask_.runs()[k];
      const std::uint32_t* label = labels_.data() + offset_[k];
      for (std::int32_t c = run.begin; c < run.end;) {
        LabelRun part{static_cast<std::int32_t>(place_[k].index),
                      static_cast<std::int32_t>(place_[k].row), c, c, label[c - run.begin]};
        while (c < run.end && label[c - run.begin] == part.label) ++c;
        part.col_end = c;
        out.push_back(part);
      }
    }
    return out;
  }

 private:
  struct Place {
    std::int64_t index{}, row{};
  };
  struct Voxel {
    std::size_t run{};
    std::int32_t col{};
  };

  std::uint32_t& label(Voxel v) {
    return labels_[offset_[v.run] + static_cast<std::size_t>(v.col - mask_.runs()[v.run].begin)];
  }

  void plant(const RunMask& seeds, const Components& components) {
    const IrcIndex& n = mask_.shape();
    for (std::int64_t i = 0; i < n.index; ++i) {
      for (std::int64_t r = 0; r < n.row; ++r) {
        std::size_t home = mask_.row(i, r).first;
        const RunMask::Range range = seeds.row(i, r);
        for (std::size_t k = range.first; k < range.last; ++k) {
          const Run seed = seeds.runs()[k];
          while (mask_.runs()[home].end < seed.end) ++home;
          for (std::int32_t c = seed.begin; c < seed.end; ++c) {
            label({home, c}) = components.of_run[k];
            front_.push_back({home, c});
          }
        }
      }
    }
  }

  void reach(std::int64_t index, std::int64_t row, std::int32_t col, std::uint32_t with) {
    const RunMask::Range range = mask_.row(index, row);
    const auto first = mask_.runs().begin();
    const auto at = std::upper_bound(first + static_cast<std::ptrdiff_t>(range.first),
                                     first + static_cast<std::ptrdiff_t>(range.last), col,
                                     [](std::int32_t c, const Run& run) { return c < run.end; });
    const auto k = static_cast<std::size_t>(at - first);
    if (k == range.last || at->begin > col) return;
    std::uint32_t& mine = label({k, col});
    if (mine != 0) return;
    mine = with;
    next_.push_back({k, col});
  }

  void grow() {
    while (!front_.empty()) {
      next_.clear();
      for (const Voxel v : front_) {
        const std::uint32_t with = label(v);
        const Place p = place_[v.run];
        reach(p.index, p.row, v.col - 1, with);
        reach(p.index, p.row, v.col + 1, with);
        reach(p.index, p.row - 1, v.col, with);
        reach(p.index, p.row + 1, v.col, with);
        reach(p.index - 1, p.row, v.col, with);
        reach(p.index + 1, p.row, v.col, with);
      }
      front_.swap(next_);
    }
  }

  const RunMask& mask_;
  std::vector<std::size_t> offset_;  // of a run's first voxel in labels_
  std::vector<Place> place_;         // of a run
  std::vector<std::uint32_t> labels_;
  std::vector<Voxel> front_, next_;
};

}  // namespace

Grouped group(const RunMask& mask, const Volume& volume, const GroupOptions& options) {
  RunMask core = mask;
  for (int n = 0; n < options.erosion; ++n) core = eroded(core);
  const Components components = connected_components(core);
  const std::vector<CentreSum> sums = centre_sums(core, components, volume, options.window);

  Grouped out;
  out.runs = Growth(mask, core, components).label_runs();
  std::vector<std::uint64_t> grown(components.count + 1);
  for (const LabelRun& run : out.runs) {
    grown[run.label] += static_cast<std::uint64_t>(run.col_end - run.col_begin);
  }

  std::vector<std::uint32_t> renumbered(components.count + 1);
  for (std::uint32_t label = 1; label <= components.count; ++label) {
    const CentreSum& sum = sums[label - 1];
    Component c;
    c.center = {sum.index / sum.weight, sum.row / sum.weight, sum.col / sum.weight};
    c.voxels = sum.voxels;
    c.volume_mm3 = static_cast<double>(grown[label]) * volume.geometry.voxel_mm3();
    if (c.volume_mm3 < options.min_component_mm3) continue;
    if (options.keep_centre && !options.keep_centre(c.center)) continue;
    c.label = static_cast<std::uint32_t>(out.components.size() + 1);
    renumbered[label] = c.label;
    out.components.push_back(c);
  }
  for (LabelRun& run : out.runs) run.label = renumbered[run.label];
  return out;
}

}  // namespace lunart
