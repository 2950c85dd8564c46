#include "pipeline/cells.hpp"

#include <algorithm>

namespace lunart {
namespace {

// Adds to a row of `part` what `from`, the row beside it (or none), touches of `in`, and all of the
// runs of `in` that this and the row itself touch. Returns whether that was anything.
bool grow_row(Word* part, const Word* in, const Word* from, std::size_t words) noexcept {
  Word grown = 0;
  // To higher columns: adding a seed to a run of ones carries through all ones above it.
  Word carry = 0;
  for (std::size_t w = 0; w < words; ++w) {
    const Word seeds = part[w] | (from != nullptr ? from[w] & in[w] : 0);
    if ((seeds | carry) == 0) continue;
    Word sum = 0;
    const bool over = __builtin_add_overflow(in[w], seeds, &sum);
    const bool over_too = __builtin_add_overflow(sum, carry, &sum);
    carry = over || over_too ? 1 : 0;
    const Word reached = ((sum ^ in[w]) & in[w]) | seeds;
    grown |= reached ^ part[w];
    part[w] = reached;
  }
  // To lower columns, in steps of 1, 2, 4, ...
  Word last = 0;  // the lowest bit of the word above
  for (std::size_t w = words; w-- > 0;) {
    Word reached = part[w] | (last << 63U & in[w]);
    if (reached != 0) {
      Word through = in[w];
      for (unsigned step = 1; step < 64; step *= 2) {
        reached |= through & reached >> step;
        through &= through >> step;
      }
      grown |= reached ^ part[w];
      part[w] = reached;
    }
    last = reached & 1U;
  }
  return grown != 0;
}

Word rim_of(const ConstLayer& layer, std::size_t row, std::size_t word) noexcept {
  if (row == 0 || row + 1 == layer.rows) return layer.all(word);
  Word sides = word == 0 ? 1 : 0;
  if (word + 1 == layer.words()) sides |= Word{1} << (layer.cols - 1) % 64;
  return sides;
}

}  // namespace

std::size_t count_between(const Word* row, std::size_t begin, std::size_t end) noexcept {
  std::size_t count = 0;
  for (std::size_t w = begin / 64; w * 64 < end; ++w) {
    count += static_cast<std::size_t>(std::popcount(row[w] & bits_between(w, begin, end)));
  }
  return count;
}

void spread(const Layer& part, const ConstLayer& in, std::size_t begin, std::size_t end) noexcept {
  const std::size_t words = in.words();
  bool grew = true;
  while (grew) {
    grew = false;
    for (std::size_t r = begin; r < in.rows; ++r) {
      const bool more = grow_row(part.row(r), in.row(r), r > 0 ? part.row(r - 1) : nullptr, words);
      grew = grew || more;
      if (r < end) continue;
      if (!more) break;
      end = r + 1;
    }
    for (std::size_t r = end; r-- > 0;) {
      const Word* const below = r + 1 < in.rows ? part.row(r + 1) : nullptr;
      const bool more = grow_row(part.row(r), in.row(r), below, words);
      grew = grew || more;
      if (r >= begin) continue;
      if (!more) break;
      begin = r;
    }
  }
}

void spread_from_rim(const Layer& part, const ConstLayer& in, const ConstLayer& where) noexcept {
  for (std::size_t r = 0; r < in.rows; ++r) {
    for (std::size_t w = 0; w < in.words(); ++w) {
      part.row(r)[w] = in.row(r)[w] & where.row(r)[w] & rim_of(in, r, w);
    }
  }
  spread(part, in, 0, in.rows);
}

void fill_holes(const Layer& layer, std::size_t most_cells) {
  std::vector<Word> storage(3 * layer.size());
  const Layer open{storage.data(), layer.rows, layer.cols};
  const Layer outer{open.first + open.size(), layer.rows, layer.cols};
  const Layer hole{outer.first + outer.size(), layer.rows, layer.cols};
  const auto constant = [](const Layer& l) { return ConstLayer{l.first, l.rows, l.cols}; };
  for (std::size_t r = 0; r < layer.rows; ++r) {
    for (std::size_t w = 0; w < layer.words(); ++w) {
      open.row(r)[w] = ~layer.row(r)[w] & layer.all(w);
    }
  }
  spread_from_rim(outer, constant(open), constant(open));
  for (std::size_t k = 0; k < open.size(); ++k) open.first[k] &= ~outer.first[k];
  // What is left are holes: each is taken out and counted.
  for (std::size_t r = 0; r < layer.rows; ++r) {
    for (std::size_t w = 0; w < layer.words(); ++w) {
      while (open.row(r)[w] != 0) {
        hole.row(r)[w] = open.row(r)[w] & -open.row(r)[w];  // its lowest bit
        spread(hole, constant(open), r, r + 1);
        std::size_t cells = 0;
        std::size_t end = r;  // the hole's first row is this one
        for (; end < layer.rows && count_between(hole.row(end), 0, layer.cols) > 0; ++end) {
          cells += count_between(hole.row(end), 0, layer.cols);
        }
        for (std::size_t k = r * layer.words(); k < end * layer.words(); ++k) {
          if (cells <= most_cells) layer.first[k] |= hole.first[k];
          open.first[k] &= ~hole.first[k];
          hole.first[k] = 0;
        }
      }
    }
  }
}

RunMask runs_of(const Cells& cells) {
  RunMask runs(cells.shape());
  for (std::int64_t i = 0; i < cells.shape().index; ++i) {
    const ConstLayer layer = cells.layer(static_cast<std::size_t>(i));
    for (std::size_t r = 0; r < layer.rows; ++r) {
      each_run(layer.row(r), layer.cols, [&](std::size_t begin, std::size_t end) {
        runs.append(i, static_cast<std::int64_t>(r),
                    {static_cast<std::int32_t>(begin), static_cast<std::int32_t>(end)});
      });
    }
  }
  return runs;
}

}  // namespace lunart
