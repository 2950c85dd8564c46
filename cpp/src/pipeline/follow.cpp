#include "pipeline/follow.hpp"

#include <algorithm>
#include <vector>

namespace lunart {
namespace {

constexpr std::int64_t kBlock = 16;  // rows and columns that are asked for at once

Cells like(const Cells& cells) {
  return Cells(cells.shape());
}

// Every voxel and its six neighbours, of which outside the scan there are none: whether all are
// set, or any.
template <bool kAll>
Cells cross(const Cells& in, const Lanes& lanes) {
  Cells out = like(in);
  const auto layers = static_cast<std::size_t>(in.shape().index);
  lanes.each(layers, [&](std::size_t i) {
    const ConstLayer layer = in.layer(i);
    const std::size_t words = layer.words();
    const std::vector<Word> none(words);
    for (std::size_t r = 0; r < layer.rows; ++r) {
      const Word* const row = layer.row(r);
      const Word* const above = r > 0 ? layer.row(r - 1) : none.data();
      const Word* const below = r + 1 < layer.rows ? layer.row(r + 1) : none.data();
      const Word* const before = i > 0 ? in.layer(i - 1).row(r) : none.data();
      const Word* const after = i + 1 < layers ? in.layer(i + 1).row(r) : none.data();
      Word* const to = out.layer(i).row(r);
      for (std::size_t w = 0; w < words; ++w) {
        const Word left = row[w] << 1U | (w > 0 ? row[w - 1] >> 63U : 0);
        const Word right = row[w] >> 1U | (w + 1 < words ? row[w + 1] << 63U : 0);
        if constexpr (kAll) {
          to[w] = row[w] & left & right & above[w] & below[w] & before[w] & after[w];
        } else {
          to[w] =
              (row[w] | left | right | above[w] | below[w] | before[w] | after[w]) & layer.all(w);
        }
      }
    }
  });
  return out;
}

Cells voxels_of(const LungRegion& region) {
  Cells voxels(region.scan_shape);
  const IrcIndex& block = region.block;
  const std::uint8_t* cell = region.cells.data();
  for (std::int64_t layer = 0; layer < region.grid.index; ++layer) {
    const std::int64_t first = layer * block.index;
    const Layer to = voxels.layer(static_cast<std::size_t>(first));
    for (std::int64_t r = 0; r < region.grid.row; ++r) {
      Word* const row = to.row(static_cast<std::size_t>(r * block.row));
      for (std::int64_t c = 0; c < region.grid.col; ++c, ++cell) {
        if (*cell == 0) continue;
        set_between(row, static_cast<std::size_t>(c * block.col),
                    static_cast<std::size_t>(std::min((c + 1) * block.col, region.scan_shape.col)));
      }
      for (std::int64_t same = r * block.row + 1;
           same < std::min((r + 1) * block.row, region.scan_shape.row); ++same) {
        std::copy_n(row, to.words(), to.row(static_cast<std::size_t>(same)));
      }
    }
    for (std::int64_t i = first + 1; i < std::min(first + block.index, region.scan_shape.index);
         ++i) {
      std::copy_n(to.first, to.size(), voxels.layer(static_cast<std::size_t>(i)).first);
    }
  }
  return voxels;
}

// The components that have a voxel in `where`.
Cells touching(const Cells& cells, const Cells& where) {
  Cells out = like(cells);
  const RunMask runs = runs_of(cells);
  const Components parts = connected_components(runs);
  std::vector<std::uint8_t> touches(parts.count);
  each_run_of(runs, parts, [&](const Run& run, std::size_t part, std::size_t i, std::size_t r) {
    if (count_between(where.layer(i).row(r), static_cast<std::size_t>(run.begin),
                      static_cast<std::size_t>(run.end)) > 0) {
      touches[part] = 1;
    }
  });
  each_run_of(runs, parts, [&](const Run& run, std::size_t part, std::size_t i, std::size_t r) {
    if (touches[part] == 0) return;
    set_between(out.layer(i).row(r), static_cast<std::size_t>(run.begin),
                static_cast<std::size_t>(run.end));
  });
  return out;
}

}  // namespace

LungRegion undecided(const Known& known, const LungRegion& region, int erosion,
                     const Lanes& lanes) {
  // Eroded as if what is not exact were background, and as if it were not.
  Cells sure = like(known.mask);
  Cells possible = like(known.mask);
  for (std::size_t i = 0; i < static_cast<std::size_t>(known.mask.shape().index); ++i) {
    const ConstLayer exact = known.exact.layer(i);
    for (std::size_t r = 0; r < exact.rows; ++r) {
      for (std::size_t w = 0; w < exact.words(); ++w) {
        sure.layer(i).row(r)[w] = known.mask.layer(i).row(r)[w] & exact.row(r)[w];
        possible.layer(i).row(r)[w] = sure.layer(i).row(r)[w] | (~exact.row(r)[w] & exact.all(w));
      }
    }
  }
  for (int n = 0; n < erosion; ++n) {
    sure = cross<true>(sure, lanes);
    possible = cross<true>(possible, lanes);
  }
  // Where a candidate of the region may begin or go on.
  const Cells inside = voxels_of(region);
  Cells front = cross<false>(touching(sure, inside), lanes);
  for (std::size_t k = 0; k < front.words().size(); ++k) {
    front.words()[k] =
        (front.words()[k] | inside.words()[k]) & possible.words()[k] & ~sure.words()[k];
  }
  for (int n = 0; n < erosion; ++n) front = cross<false>(front, lanes);

  LungRegion blocks(region.scan_shape, {1, kBlock, kBlock});
  auto block = blocks.cells.begin();
  for (std::size_t i = 0; i < static_cast<std::size_t>(blocks.grid.index); ++i) {
    const Layer wanted = front.layer(i);
    for (std::size_t r = 0; r < wanted.rows; ++r) {
      const auto line = block + static_cast<std::ptrdiff_t>(r / kBlock) * blocks.grid.col;
      for (std::size_t w = 0; w < wanted.words(); ++w) {
        Word left = wanted.row(r)[w] & ~known.exact.layer(i).row(r)[w];
        for (; left != 0; left &= left - 1) {
          const auto col = static_cast<std::int64_t>(w * 64) + std::countr_zero(left);
          line[col / kBlock] = 1;
        }
      }
    }
    block += blocks.grid.row * blocks.grid.col;
  }
  return blocks;
}

}  // namespace lunart
