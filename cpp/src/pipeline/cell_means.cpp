#include "pipeline/cell_means.hpp"

#include <algorithm>
#include <type_traits>

namespace lunart {
namespace {

constexpr int kPaddingHu = -1024;  // scanners pad with -2000 or -3024

// Sums over the rows of a block, column by column, in loops that become vectors; exact for int16.
template <class T>
void add_row(const T* from, std::size_t n,
             std::conditional_t<std::is_integral_v<T>, int, double>* to) {
  for (std::size_t c = 0; c < n; ++c) to[c] += std::max<T>(from[c], T{kPaddingHu});
}

// Adds the sums of every kWidth values, the last ones of what is left.
template <std::size_t kWidth, class Sum>
void add_columns_of(const std::vector<Sum>& line, std::size_t width, double* to) {
  if constexpr (kWidth > 0) width = kWidth;  // known to the compiler
  std::size_t c = 0;
  for (; c + width <= line.size(); c += width) {
    Sum sum{};
    for (std::size_t k = 0; k < width; ++k) sum += line[c + k];
    *to++ += static_cast<double>(sum);
  }
  for (; c < line.size(); ++c) *to += static_cast<double>(line[c]);
}

template <class Sum>
void add_columns(const std::vector<Sum>& line, std::size_t width, double* to) {
  switch (width) {
    case 1: return add_columns_of<1>(line, width, to);
    case 2: return add_columns_of<2>(line, width, to);
    case 3: return add_columns_of<3>(line, width, to);
    case 4: return add_columns_of<4>(line, width, to);
    default: return add_columns_of<0>(line, width, to);
  }
}

}  // namespace

std::vector<float> cell_means(const Volume& volume, const IrcIndex& block, std::int64_t layer) {
  const IrcIndex& n = volume.geometry.shape;
  const std::int64_t first = layer * block.index;
  const std::int64_t last = std::min(first + block.index, n.index);
  const std::int64_t rows = (n.row + block.row - 1) / block.row;
  const std::int64_t cols = (n.col + block.col - 1) / block.col;
  std::vector<double> sums(static_cast<std::size_t>(rows * cols));
  std::visit(
      [&](auto voxels) {
        using T = std::remove_cv_t<typename decltype(voxels)::element_type>;
        using Sum = std::conditional_t<std::is_integral_v<T>, int, double>;
        std::vector<Sum> line(static_cast<std::size_t>(n.col));
        for (std::int64_t i = first; i < last; ++i) {
          for (std::int64_t r = 0; r < rows; ++r) {
            std::ranges::fill(line, Sum{});
            for (std::int64_t row = r * block.row; row < std::min((r + 1) * block.row, n.row);
                 ++row) {
              add_row(voxels.data() + (i * n.row + row) * n.col, line.size(), line.data());
            }
            add_columns(line, static_cast<std::size_t>(block.col), sums.data() + r * cols);
          }
        }
      },
      volume.hu);
  std::vector<float> means(sums.size());
  std::size_t cell = 0;
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < cols; ++c, ++cell) {
      const std::int64_t voxels = (last - first) * std::min(block.row, n.row - r * block.row) *
                                  std::min(block.col, n.col - c * block.col);
      means[cell] = static_cast<float>(sums[cell]) / static_cast<float>(voxels);
    }
  }
  return means;
}

}  // namespace lunart
