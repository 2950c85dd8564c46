#include "io/nifti_write.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "io/atomic_file.hpp"
#include "io/deflate.hpp"
#include "io/text.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

constexpr std::size_t kHeaderBytes = 348;
constexpr std::size_t kVoxelOffset = 352;  // four bytes say that no extension follows

using Matrix = std::array<std::array<double, 3>, 3>;  // [row][column]

// Directions of the image's axes (columns) in right, anterior, superior: LPS with two signs turned.
Matrix ras_axes(const Geometry& g) {
  Matrix m{};
  for (std::size_t row = 0; row < 3; ++row) {
    const double sign = row < 2 ? -1 : 1;
    for (std::size_t col = 0; col < 3; ++col) m[row][col] = sign * g.direction[3 * row + col];
  }
  return m;
}

double determinant(const Matrix& m) {
  return m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) -
         m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
         m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
}

bool is_orthonormal(const Matrix& m) {
  constexpr double kTolerance = 1e-5;
  for (std::size_t a = 0; a < 3; ++a) {
    for (std::size_t b = 0; b < 3; ++b) {
      double dot = 0;
      for (std::size_t row = 0; row < 3; ++row) dot += m[row][a] * m[row][b];
      if (std::abs(dot - (a == b ? 1 : 0)) > kTolerance) return false;
    }
  }
  return true;
}

struct Rotation {
  std::array<double, 3> bcd{};  // of the unit quaternion (a, b, c, d) with a >= 0
  double third_axis{1};         // -1: the third axis is turned round, which no rotation does
};

// Of the largest part of the quaternion, so that none is divided by what is nearly nothing.
std::optional<Rotation> rotation_of(Matrix m) {
  if (!is_orthonormal(m)) return std::nullopt;
  Rotation r;
  if (determinant(m) < 0) {
    r.third_axis = -1;
    for (auto& row : m) row[2] = -row[2];
  }
  const std::array<double, 4> squares{
      1 + m[0][0] + m[1][1] + m[2][2], 1 + m[0][0] - m[1][1] - m[2][2],
      1 - m[0][0] + m[1][1] - m[2][2], 1 - m[0][0] - m[1][1] + m[2][2]};
  const auto largest = std::ranges::max_element(squares) - squares.begin();
  const double s = 2 * std::sqrt(squares[static_cast<std::size_t>(largest)]);
  std::array<double, 4> q{};  // a, b, c, d
  switch (largest) {
    case 0:
      q = {s / 4, (m[2][1] - m[1][2]) / s, (m[0][2] - m[2][0]) / s, (m[1][0] - m[0][1]) / s};
      break;
    case 1:
      q = {(m[2][1] - m[1][2]) / s, s / 4, (m[0][1] + m[1][0]) / s, (m[0][2] + m[2][0]) / s};
      break;
    case 2:
      q = {(m[0][2] - m[2][0]) / s, (m[0][1] + m[1][0]) / s, s / 4, (m[1][2] + m[2][1]) / s};
      break;
    default: q = {(m[1][0] - m[0][1]) / s, (m[0][2] + m[2][0]) / s, (m[1][2] + m[2][1]) / s, s / 4};
  }
  const double sign = q[0] < 0 ? -1 : 1;
  r.bcd = {sign * q[1], sign * q[2], sign * q[3]};
  return r;
}

// A header in this machine's byte order, which readers tell by its first number.
class Header {
 public:
  template <class T>
  void put(std::size_t at, T value) {
    std::memcpy(bytes_.data() + at, &value, sizeof value);
  }
  void put_float(std::size_t at, double value) { put(at, static_cast<float>(value)); }
  void put_text(std::size_t at, std::string_view text) {
    std::memcpy(bytes_.data() + at, text.data(), text.size());
  }
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::array<std::byte, kVoxelOffset> bytes_{};
};

std::int16_t type_code(Element element, const std::string& name) {
  switch (element) {
    case Element::uint8: return 2;
    case Element::int16: return 4;
    case Element::int32: return 8;
    case Element::float32: return 16;
    case Element::float64: return 64;
    case Element::int8: return 256;
    case Element::uint16: return 512;
    case Element::uint32: return 768;
    case Element::int64: return 1024;
    case Element::uint64: return 1280;
  }
  throw Error(Errc::usage, name + ": such voxels cannot be written as NIfTI");
}

// Offsets and codes as nifti1.h lists them.
Header header_of(const Geometry& g, Element element, const std::string& name) {
  Header h;
  h.put(0, static_cast<std::int32_t>(kHeaderBytes));
  h.put_text(38, "r");
  const std::array<std::int64_t, 8> dim{3, g.shape.col, g.shape.row, g.shape.index, 1, 1, 1, 1};
  for (std::size_t k = 0; k < dim.size(); ++k) {
    if (dim[k] > std::numeric_limits<std::int16_t>::max()) {
      throw Error(Errc::usage, name + ": NIfTI-1 has room for 32767 voxels a side, not " +
                                   std::to_string(dim[k]) + "; write .mha instead");
    }
    h.put(40 + 2 * k, static_cast<std::int16_t>(dim[k]));
  }
  h.put(70, type_code(element, name));
  h.put(72, static_cast<std::int16_t>(8 * size_of(element)));
  h.put_float(108, static_cast<double>(kVoxelOffset));
  h.put_float(112, 1);          // slope
  h.put(123, std::uint8_t{2});  // millimetres
  h.put_text(148, "lunart");

  const Matrix axes = ras_axes(g);
  const std::array<double, 3> spacing{g.spacing.x, g.spacing.y, g.spacing.z};
  const std::array<double, 3> origin{-g.origin.x, -g.origin.y, g.origin.z};
  const std::optional<Rotation> rotation = rotation_of(axes);
  h.put_float(76, rotation ? rotation->third_axis : 1);
  for (std::size_t k = 0; k < 3; ++k) h.put_float(80 + 4 * k, spacing[k]);
  constexpr std::int16_t kScanner = 1;
  if (rotation) {
    h.put(252, kScanner);
    for (std::size_t k = 0; k < 3; ++k) {
      h.put_float(256 + 4 * k, rotation->bcd[k]);
      h.put_float(268 + 4 * k, origin[k]);
    }
  }
  h.put(254, kScanner);
  for (std::size_t row = 0; row < 3; ++row) {
    for (std::size_t col = 0; col < 3; ++col) {
      h.put_float(280 + 16 * row + 4 * col, axes[row][col] * spacing[col]);
    }
    h.put_float(280 + 16 * row + 12, origin[row]);
  }
  h.put_text(344, "n+1");
  return h;
}

}  // namespace

void write_nifti(const std::filesystem::path& path, const Geometry& geometry, Element element,
                 std::span<const std::byte> voxels, const Tick& tick) {
  const std::string name = shown(path);
  geometry.validate(name.c_str());
  if (voxels.size() != geometry.voxel_count() * size_of(element)) {
    throw Error(Errc::usage, name + ": " + std::to_string(voxels.size()) +
                                 " bytes are not the geometry's voxels");
  }
  const Header header = header_of(geometry, element, name);
  AtomicFile file(path);
  if (lower(path.extension().string()) == ".gz") {
    const std::array<std::span<const std::byte>, 2> parts{header.bytes(), voxels};
    file.write(gzipped(parts, tick));
  } else {
    file.write(header.bytes());
    file.write(voxels);
  }
  file.commit();
}

}  // namespace lunart
