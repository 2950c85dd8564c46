// Where a voxel is. Voxels are counted (index, row, col); patients are measured (x, y, z) in
// millimetres, LPS (DICOM PS3.3 C.7.6.2). The two never mix without a Geometry.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lunart/export.hpp"

namespace lunart {

template <class T>
struct BasicIrc {
  T index{}, row{}, col{};
  friend bool operator==(const BasicIrc&, const BasicIrc&) = default;
};
using Irc = BasicIrc<double>;             // a place between voxels
using IrcIndex = BasicIrc<std::int64_t>;  // a voxel, or a number of voxels an axis

struct Xyz {
  double x{}, y{}, z{};
  friend bool operator==(const Xyz&, const Xyz&) = default;
};

struct Geometry {
  IrcIndex shape{};
  Xyz spacing{1, 1, 1};                                        // mm, along (col, row, index)
  Xyz origin{};                                                // mm, centre of voxel (0, 0, 0)
  std::array<double, 9> direction{1, 0, 0, 0, 1, 0, 0, 0, 1};  // as SimpleITK's GetDirection()

  [[nodiscard]] LUNART_API std::size_t voxel_count() const noexcept;
  [[nodiscard]] LUNART_API double voxel_mm3() const noexcept;
  [[nodiscard]] LUNART_API Xyz to_xyz(const Irc& irc) const noexcept;
  // The exact inverse, also when oblique.
  [[nodiscard]] LUNART_API Irc to_irc(const Xyz& xyz) const;
  // Throws Errc::scan, naming `source` and the value: an empty or absurd shape, a spacing that is
  // not positive and finite, an origin that is not finite, a singular direction.
  LUNART_API void validate(const char* source) const;
};

}  // namespace lunart
