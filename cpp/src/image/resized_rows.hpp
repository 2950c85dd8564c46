// A picture in another size, a row at a time and in 8 bits, bit for bit as Pillow has it with
// antialias; without, as torchvision has it of tensors: rounded once, to even.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "image/preprocess.hpp"
#include "lunart/image.hpp"

namespace lunart {

class ResizedRows {
 public:
  virtual ~ResizedRows() = default;
  ResizedRows(const ResizedRows&) = delete;
  ResizedRows& operator=(const ResizedRows&) = delete;

  // New row r, which is not before the last one that was asked for, as (col, channel).
  virtual void make(std::int64_t r, std::span<std::uint8_t> to) = 0;

 protected:
  ResizedRows() = default;
};

struct Columns {
  std::int64_t begin{}, count{};
};

// Of a picture that becomes `to`, only these columns are made. The picture must outlive the rows.
[[nodiscard]] std::unique_ptr<ResizedRows> resized_rows(const Image& image,
                                                        const std::optional<Resize>& resize,
                                                        ImageSize to, Columns columns);

}  // namespace lunart
