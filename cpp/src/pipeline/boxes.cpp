#include "pipeline/boxes.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

namespace lunart {
namespace {

// What another shape costs, in voxels that a network segments meanwhile. Measured with OpenVINO on
// two cores, in f32 and bf16: a scan takes least with 25,000 to 50,000 here.
constexpr std::int64_t kShapeCost = 40'000;

// What a cut must save. A scan's boxes are laid out with each of these and the cheapest layout is
// taken: the parts of a slice may need shapes of their own, which is not known while it is cut.
constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max() / 2;
constexpr std::array kLeastSaved{kNever, std::int64_t{30'000}, std::int64_t{4'000}};

// [begin, end) on one axis.
struct Span {
  std::int64_t begin{std::numeric_limits<std::int64_t>::max()}, end{};

  [[nodiscard]] bool empty() const noexcept { return begin >= end; }
  [[nodiscard]] std::int64_t size() const noexcept { return end - begin; }
  void include(const Span& other) noexcept {
    begin = std::min(begin, other.begin);
    end = std::max(end, other.end);
  }
};

struct Rectangle {
  Span rows, cols;
};

constexpr std::int64_t round_down(std::int64_t value, std::int64_t to) {
  return value / to * to;
}

constexpr std::int64_t round_up(std::int64_t value, std::int64_t to) {
  return round_down(value + to - 1, to);
}

// One axis of a box around voxels in a slice of n voxels.
Span with_halo(const Span& voxels, std::int64_t n, const BoxOptions& o) {
  const std::int64_t m = o.multiple_of;
  // Halfway between two multiples, the one inside: the network's coarsest cells end there.
  const std::int64_t begin = round_down(voxels.begin + m / 2, m) - o.halo;
  const std::int64_t end = round_up(voxels.end - m / 2, m) + o.halo;
  return {round_down(std::clamp<std::int64_t>(begin, 0, voxels.begin), m),
          std::min(round_up(n, m), round_up(std::max(end, voxels.end), m))};
}

// Cuts the cells of one layer of a region into rectangles, as long as a cut across one of them
// saves area (halos included).
class Cutter {
 public:
  Cutter(const LungRegion& region, const BoxOptions& options, std::int64_t least_saved)
      : region_(region), options_(options), least_saved_(least_saved) {}

  // Boxes of one layer of cells, as rows and columns of the scan.
  std::vector<Rectangle> boxes_of(std::int64_t layer) {
    cells_ = region_.cells.data() + layer * region_.grid.row * region_.grid.col;
    found_.clear();
    cut({{0, region_.grid.row}, {0, region_.grid.col}});
    return std::move(found_);
  }

 private:
  // For every line across an axis: where along it there are cells.
  struct Profile {
    std::vector<Span> of_row;  // columns
    std::vector<Span> of_col;  // rows
  };

  [[nodiscard]] Profile profile_of(const Rectangle& r) const {
    Profile p{std::vector<Span>(static_cast<std::size_t>(r.rows.size())),
              std::vector<Span>(static_cast<std::size_t>(r.cols.size()))};
    for (std::int64_t row = r.rows.begin; row < r.rows.end; ++row) {
      const std::uint8_t* const line = cells_ + row * region_.grid.col + r.cols.begin;
      // Most rows hold nothing.
      const void* const found = std::memchr(line, 1, static_cast<std::size_t>(r.cols.size()));
      if (found == nullptr) continue;
      Span& across = p.of_row[static_cast<std::size_t>(row - r.rows.begin)];
      for (std::int64_t c = static_cast<const std::uint8_t*>(found) - line; c < r.cols.size();
           ++c) {
        if (line[c] == 0) continue;
        across.include({r.cols.begin + c, r.cols.begin + c + 1});
        p.of_col[static_cast<std::size_t>(c)].include({row, row + 1});
      }
    }
    return p;
  }

  [[nodiscard]] Rectangle box_of(const Rectangle& cells) const {
    const IrcIndex& n = region_.scan_shape;
    const IrcIndex& b = region_.block;
    return {with_halo({cells.rows.begin * b.row, std::min(cells.rows.end * b.row, n.row)}, n.row,
                      options_),
            with_halo({cells.cols.begin * b.col, std::min(cells.cols.end * b.col, n.col)}, n.col,
                      options_)};
  }

  [[nodiscard]] std::int64_t area_of(const Rectangle& cells) const {
    const Rectangle box = box_of(cells);
    return box.rows.size() * box.cols.size();
  }

  struct Cut {
    std::int64_t area{};
    Rectangle before, after;  // each no larger than its cells
  };

  // Tries a cut before every line. `lines[k]` says where line first + k has cells; `rectangle`
  // makes one of a span of lines and a span along them.
  template <class MakeRectangle>
  void try_cuts(const std::vector<Span>& lines, std::int64_t first, const MakeRectangle& rectangle,
                Cut& best) const {
    struct Bounds {
      Span lines, along;
    };
    const auto grown = [&](Bounds bounds, std::size_t k) {
      if (lines[k].empty()) return bounds;
      const auto line = first + static_cast<std::int64_t>(k);
      bounds.lines.include({line, line + 1});
      bounds.along.include(lines[k]);
      return bounds;
    };
    std::vector<Bounds> after(lines.size() + 1);
    for (std::size_t k = lines.size(); k-- > 0;) after[k] = grown(after[k + 1], k);
    Bounds before;
    for (std::size_t k = 0; k + 1 < lines.size(); ++k) {
      before = grown(before, k);
      if (before.lines.empty() || after[k + 1].lines.empty()) continue;
      const Rectangle a = rectangle(before.lines, before.along);
      const Rectangle b = rectangle(after[k + 1].lines, after[k + 1].along);
      const std::int64_t area = area_of(a) + area_of(b);
      if (area < best.area) best = {area, a, b};
    }
  }

  void cut(const Rectangle& within) {
    const Profile p = profile_of(within);
    Rectangle tight;
    for (const Span& cols : p.of_row) tight.cols.include(cols);
    for (const Span& rows : p.of_col) tight.rows.include(rows);
    if (tight.rows.empty()) return;
    const std::int64_t uncut = area_of(tight);
    Cut best{uncut, {}, {}};
    try_cuts(
        p.of_row, within.rows.begin,
        [](const Span& rows, const Span& cols) { return Rectangle{rows, cols}; }, best);
    try_cuts(
        p.of_col, within.cols.begin,
        [](const Span& cols, const Span& rows) { return Rectangle{rows, cols}; }, best);
    if (uncut - best.area <= least_saved_) {
      found_.push_back(box_of(tight));
    } else {
      cut(best.before);
      cut(best.after);
    }
  }

  const LungRegion& region_;
  const BoxOptions& options_;
  std::int64_t least_saved_;
  const std::uint8_t* cells_{};
  std::vector<Rectangle> found_;
};

struct Shape {
  std::int64_t rows{}, cols{};

  [[nodiscard]] std::int64_t area() const noexcept { return rows * cols; }
  [[nodiscard]] bool holds(const Shape& other) const noexcept {
    return rows >= other.rows && cols >= other.cols;
  }
  bool operator==(const Shape&) const = default;
};

struct ShapeCount {
  Shape shape;
  std::int64_t boxes{};
};

// The shapes to use: pairs become one that holds both, the cheapest first, as long as the area that
// this adds costs less than a shape.
std::vector<ShapeCount> few_shapes(std::vector<ShapeCount> shapes) {
  struct Pair {
    std::size_t a{}, b{};
    Shape both;
    std::int64_t added{kShapeCost};
  };
  while (true) {
    Pair best;
    for (std::size_t a = 0; a < shapes.size(); ++a) {
      for (std::size_t b = a + 1; b < shapes.size(); ++b) {
        const ShapeCount& x = shapes[a];
        const ShapeCount& y = shapes[b];
        const Shape both{std::max(x.shape.rows, y.shape.rows),
                         std::max(x.shape.cols, y.shape.cols)};
        const std::int64_t added =
            (both.area() - x.shape.area()) * x.boxes + (both.area() - y.shape.area()) * y.boxes;
        if (added < best.added) best = {a, b, both, added};
      }
    }
    if (best.added == kShapeCost) return shapes;
    shapes[best.a] = {best.both, shapes[best.a].boxes + shapes[best.b].boxes};
    shapes.erase(shapes.begin() + static_cast<std::ptrdiff_t>(best.b));
  }
}

// Moved as little as possible, so that what was in the middle stays there.
Span enlarged(const Span& span, std::int64_t size, std::int64_t whole, std::int64_t multiple) {
  const std::int64_t begin = span.begin - round_down((size - span.size()) / 2, multiple);
  const std::int64_t inside = std::clamp<std::int64_t>(begin, 0, whole - size);
  return {inside, inside + size};
}

// Returns what the boxes cost.
std::int64_t enlarge_to_few_shapes(std::vector<SliceBox>& boxes, const IrcIndex& n,
                                   std::int64_t multiple) {
  std::vector<ShapeCount> shapes;
  for (const auto& [index, box] : boxes) {
    const Shape shape{box.rows, box.cols};
    const auto known = std::ranges::find(shapes, shape, &ShapeCount::shape);
    if (known != shapes.end()) {
      ++known->boxes;
    } else {
      shapes.push_back({shape, 1});
    }
  }
  shapes = few_shapes(std::move(shapes));
  std::ranges::stable_sort(shapes, {}, [](const ShapeCount& s) { return s.shape.area(); });
  for (auto& [index, box] : boxes) {
    const auto smallest = std::ranges::find_if(
        shapes, [&](const ShapeCount& s) { return s.shape.holds({box.rows, box.cols}); });
    const auto [rows, cols] = smallest->shape;
    const Span r =
        enlarged({box.row, box.row + box.rows}, rows, round_up(n.row, multiple), multiple);
    const Span c =
        enlarged({box.col, box.col + box.cols}, cols, round_up(n.col, multiple), multiple);
    box = {r.begin, c.begin, rows, cols};
  }
  std::int64_t cost = kShapeCost * static_cast<std::int64_t>(shapes.size());
  for (const auto& [shape, count] : shapes) cost += shape.area() * count;
  return cost;
}

std::vector<SliceBox> boxes_around(const LungRegion& region, const BoxOptions& options,
                                   std::int64_t least_saved) {
  std::vector<SliceBox> boxes;
  Cutter cutter(region, options, least_saved);
  for (std::int64_t layer = 0; layer < region.grid.index; ++layer) {
    const std::vector<Rectangle> of_layer = cutter.boxes_of(layer);
    const std::int64_t end = std::min((layer + 1) * region.block.index, region.scan_shape.index);
    for (std::int64_t i = layer * region.block.index; i < end; ++i) {
      for (const auto& [rows, cols] : of_layer) {
        boxes.push_back({i, {rows.begin, cols.begin, rows.size(), cols.size()}});
      }
    }
  }
  return boxes;
}

// One axis of a box's exact part: what `with_halo` would not ask more for.
Span exact_span(const Span& span, std::int64_t n, const BoxOptions& o) {
  const std::int64_t m = o.multiple_of;
  const std::int64_t margin = std::max<std::int64_t>(0, round_up(o.halo, m) - m / 2);
  return {span.begin == 0 ? 0 : span.begin + margin, span.end >= n ? n : span.end - margin};
}

}  // namespace

std::vector<SliceBox> slice_boxes(const IrcIndex& shape, const std::optional<LungRegion>& region,
                                  const BoxOptions& options) {
  std::vector<SliceBox> boxes;
  if (!region) {
    const Box whole{0, 0, round_up(shape.row, options.multiple_of),
                    round_up(shape.col, options.multiple_of)};
    for (std::int64_t i = 0; i < shape.index; ++i) boxes.push_back({i, whole});
    return boxes;
  }
  std::int64_t least_cost = kNever;
  for (const std::int64_t least_saved : kLeastSaved) {
    std::vector<SliceBox> layout = boxes_around(*region, options, least_saved);
    const std::int64_t cost = enlarge_to_few_shapes(layout, shape, options.multiple_of);
    if (cost >= least_cost) continue;
    least_cost = cost;
    boxes = std::move(layout);
  }
  return boxes;
}

Box exact_part(const Box& box, const IrcIndex& shape, const BoxOptions& options) noexcept {
  const Span rows = exact_span({box.row, box.row + box.rows}, shape.row, options);
  const Span cols = exact_span({box.col, box.col + box.cols}, shape.col, options);
  return {rows.begin, cols.begin, std::max<std::int64_t>(0, rows.size()),
          std::max<std::int64_t>(0, cols.size())};
}

}  // namespace lunart
