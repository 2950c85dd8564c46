// Whether a result and a scan belong together, so that no outline lands in another patient.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <string>

#include "io/hu_crc32.hpp"
#include "io/text.hpp"
#include "lunart/error.hpp"
#include "lunart/result.hpp"
#include "threads.hpp"

namespace lunart {
namespace {

// What formats round: NIfTI keeps floats, DICOM 16 characters. Over 1000 voxels of a millimetre
// this is a tenth of one.
constexpr double kSpacingShare = 1e-4;
constexpr double kDirection = 1e-4;
constexpr double kOriginMm = 1e-2;

std::string text_of_shape(const IrcIndex& n) {
  return std::to_string(n.index) + "x" + std::to_string(n.row) + "x" + std::to_string(n.col);
}

std::string hex(std::uint32_t crc) {
  std::array<char, 9> text{};
  std::snprintf(text.data(), text.size(), "%08x", crc);
  return text.data();
}

class Differences {
 public:
  void add(const std::string& what, const std::string& result, const std::string& scan) {
    text_ += (text_.empty() ? "" : "; ") + what + " is " + result + " in the result and " + scan +
             " in the scan";
  }
  template <std::size_t N>
  void compare(const std::string& what, const std::array<double, N>& result,
               const std::array<double, N>& scan, double share, double most) {
    for (std::size_t k = 0; k < N; ++k) {
      if (std::abs(result[k] - scan[k]) <= most + share * std::abs(scan[k])) continue;
      add(what, text_of(result), text_of(scan));
      return;
    }
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

std::array<double, 3> array_of(const Xyz& v) {
  return {v.x, v.y, v.z};
}

}  // namespace

void require_same_scan(const Result& result, const Volume& scan) {
  const Geometry& a = result.geometry;
  const Geometry& b = scan.geometry;
  Differences differences;
  if (!(a.shape == b.shape)) {
    differences.add("the shape", text_of_shape(a.shape), text_of_shape(b.shape));
  }
  differences.compare("the spacing", array_of(a.spacing), array_of(b.spacing), kSpacingShare, 0);
  differences.compare("the origin", array_of(a.origin), array_of(b.origin), 0, kOriginMm);
  differences.compare("the direction", a.direction, b.direction, 0, kDirection);
  if (!result.series_uid.empty() && !scan.series_uid.empty() &&
      result.series_uid != scan.series_uid) {
    differences.add("the series UID", in_quotes(result.series_uid), in_quotes(scan.series_uid));
  }
  if (a.shape == b.shape) {
    const std::uint32_t crc = hu_crc32(scan, {.count = thread_count(0)});
    if (crc != result.hu_crc32) {
      differences.add("the checksum of the voxels", hex(result.hu_crc32), hex(crc));
    }
  }
  if (differences.text().empty()) return;
  const std::string name = scan.path.empty() ? std::string("the scan") : shown(scan.path);
  throw Error(Errc::usage, "the result does not belong to " + name + ": " + differences.text() +
                               "; name the scan that was run, or run this one");
}

}  // namespace lunart
