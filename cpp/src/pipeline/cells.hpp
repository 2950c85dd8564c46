// A coarse grid of yes or no, a bit a cell: 64 cells are compared, grown or counted at once, which
// makes floods of a whole scan cost a few milliseconds.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "lunart/geometry.hpp"
#include "pipeline/runs.hpp"

namespace lunart {

using Word = std::uint64_t;

// The bits of one layer (all cells of one index), row by row; a row begins with a new word and its
// last word ends in zeros.
template <class W>
struct BasicLayer {
  W* first;
  std::size_t rows, cols;

  [[nodiscard]] std::size_t words() const noexcept { return (cols + 63) / 64; }  // of a row
  [[nodiscard]] W* row(std::size_t r) const noexcept { return first + r * words(); }
  [[nodiscard]] std::size_t size() const noexcept { return rows * words(); }
  // All cells of a row that this word of it holds.
  [[nodiscard]] Word all(std::size_t word) const noexcept {
    return word + 1 < words() || cols % 64 == 0 ? ~Word{0} : (Word{1} << cols % 64) - 1;
  }
};
using Layer = BasicLayer<Word>;
using ConstLayer = BasicLayer<const Word>;

class Cells {
 public:
  explicit Cells(const IrcIndex& shape)
      : shape_(shape),
        bits_(static_cast<std::size_t>(shape.index * shape.row) *
              ((static_cast<std::size_t>(shape.col) + 63) / 64)) {}

  [[nodiscard]] const IrcIndex& shape() const noexcept { return shape_; }
  [[nodiscard]] Layer layer(std::size_t i) noexcept {
    return {bits_.data() + i * per_layer(), rows(), cols()};
  }
  [[nodiscard]] ConstLayer layer(std::size_t i) const noexcept {
    return {bits_.data() + i * per_layer(), rows(), cols()};
  }
  [[nodiscard]] std::vector<Word>& words() noexcept { return bits_; }
  [[nodiscard]] const std::vector<Word>& words() const noexcept { return bits_; }

 private:
  [[nodiscard]] std::size_t rows() const noexcept { return static_cast<std::size_t>(shape_.row); }
  [[nodiscard]] std::size_t cols() const noexcept { return static_cast<std::size_t>(shape_.col); }
  [[nodiscard]] std::size_t per_layer() const noexcept { return rows() * ((cols() + 63) / 64); }

  IrcIndex shape_;
  std::vector<Word> bits_;
};

// The bits of n <= 64 values: whether is(value). In loops that become vectors.
template <class T, class Is>
[[nodiscard]] Word bits_of(const T* values, std::size_t n, const Is& is) noexcept {
  std::array<std::uint8_t, 64> one{};
  for (std::size_t k = 0; k < n; ++k) one[k] = is(values[k]) ? 1 : 0;
  Word bits = 0;
  for (std::size_t k = 0; k < 8; ++k) {
    Word eight = 0;
    std::memcpy(&eight, one.data() + 8 * k, 8);
    if constexpr (std::endian::native == std::endian::big) eight = __builtin_bswap64(eight);
    // Byte j is moved to bit 56 + j; the products of no two bytes meet.
    bits |= (eight * 0x0102040810204080U >> 56U) << 8 * k;
  }
  return bits;
}

// Calls use(begin, end) for the runs of a row's bits, by rising column.
template <class Use>
void each_run(const Word* row, std::size_t cols, const Use& use) {
  const std::size_t words = (cols + 63) / 64;
  // From `at` on, the first column whose bit is not in `skip` (all ones or zeros).
  const auto next = [&](std::size_t at, Word skip) {
    for (std::size_t w = at / 64; w < words; ++w) {
      Word rest = row[w] ^ skip;
      if (w == at / 64) rest &= ~Word{0} << at % 64;
      if (rest != 0) {
        return std::min(cols, w * 64 + static_cast<std::size_t>(std::countr_zero(rest)));
      }
    }
    return cols;
  };
  for (std::size_t begin = next(0, 0); begin < cols;) {
    const std::size_t end = next(begin, ~Word{0});
    use(begin, end);
    begin = end < cols ? next(end, 0) : cols;
  }
}

// The bits of a row's word that lie in columns [begin, end).
[[nodiscard]] constexpr Word bits_between(std::size_t word, std::size_t begin,
                                          std::size_t end) noexcept {
  const std::size_t first = word * 64;
  if (end <= first || begin >= first + 64) return 0;
  const Word from = begin <= first ? ~Word{0} : ~Word{0} << (begin - first);
  return end >= first + 64 ? from : from & ((Word{1} << (end - first)) - 1);
}

// Sets columns [begin, end) of a row.
inline void set_between(Word* row, std::size_t begin, std::size_t end) noexcept {
  for (std::size_t w = begin / 64; w * 64 < end; ++w) row[w] |= bits_between(w, begin, end);
}

// How many bits of a row are set in columns [begin, end).
[[nodiscard]] std::size_t count_between(const Word* row, std::size_t begin,
                                        std::size_t end) noexcept;

// Grows `part`, seeds in rows [seeds_begin, seeds_end), to all of `in` that 4-connects to it within
// the layer. Seeds lie in `in`.
void spread(const Layer& part, const ConstLayer& in, std::size_t seeds_begin,
            std::size_t seeds_end) noexcept;

// What of a layer reaches its rim where `where` is set too, 4-connected; into `part`.
void spread_from_rim(const Layer& part, const ConstLayer& in, const ConstLayer& where) noexcept;

// Sets the holes of a layer (clear cells that do not reach the rim) of at most `most_cells`.
void fill_holes(const Layer& layer, std::size_t most_cells);

[[nodiscard]] RunMask runs_of(const Cells& cells);

// Calls use(run, its component, its index, its row) for all runs; components count from 0.
template <class Use>
void each_run_of(const RunMask& mask, const Components& parts, const Use& use) {
  for (std::int64_t i = 0; i < mask.shape().index; ++i) {
    for (std::int64_t r = 0; r < mask.shape().row; ++r) {
      const RunMask::Range range = mask.row(i, r);
      for (std::size_t k = range.first; k < range.last; ++k) {
        use(mask.runs()[k], std::size_t{parts.of_run[k]} - 1, static_cast<std::size_t>(i),
            static_cast<std::size_t>(r));
      }
    }
  }
}

}  // namespace lunart
