#include "itk/nifti_header.hpp"

#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/input_file.hpp"
#include "io/text.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

constexpr std::size_t kHeaderBytes = 348;

using Bytes = std::array<std::byte, kHeaderBytes>;

[[noreturn]] void fail(const std::string& name, const std::string& what) {
  throw Error(Errc::scan, name + ": " + what);
}

// The first bytes of a gzip stream.
Bytes inflated_head(const InputFile& file) {
  // Headers are small, and deflate packs at most 1032 times: this holds them whole.
  std::vector<std::byte> packed(
      static_cast<std::size_t>(std::min<std::uint64_t>(file.size(), std::uint64_t{1} << 16U)));
  file.read(0, packed);
  Bytes head{};
  z_stream stream{};
  constexpr int kGzip = 16 + MAX_WBITS;
  if (inflateInit2(&stream, kGzip) != Z_OK) fail(file.name(), "zlib cannot be started");
  const std::unique_ptr<z_stream, int (*)(z_stream*)> owner(&stream, inflateEnd);
  stream.next_in = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(head.data());
  stream.avail_out = static_cast<uInt>(head.size());
  const int status = inflate(&stream, Z_SYNC_FLUSH);
  if ((status != Z_OK && status != Z_STREAM_END) || stream.avail_out != 0) {
    fail(file.name(), "is no gzip file, or damaged, or ends within the NIfTI header");
  }
  return head;
}

class Reader {
 public:
  Reader(std::string name, const Bytes& bytes) : name_(std::move(name)), bytes_(bytes) {
    constexpr std::int32_t kSize = kHeaderBytes;
    if (number<std::int32_t>(0) == kSize) return;
    is_swapped_ = true;
    if (number<std::int32_t>(0) != kSize) {
      fail(name_,
           "does not begin as a NIfTI-1 file does (sizeof_hdr is not 348); save the scan as "
           "NIfTI-1");
    }
  }

  template <class T>
  [[nodiscard]] T number(std::size_t at) const {
    std::array<std::byte, sizeof(T)> raw{};
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(at), sizeof(T), raw.begin());
    if (is_swapped_) std::ranges::reverse(raw);
    return std::bit_cast<T>(raw);
  }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] bool is_swapped() const { return is_swapped_; }

 private:
  std::string name_;
  const Bytes& bytes_;
  bool is_swapped_{};
};

std::array<std::int64_t, 3> shape_of(const Reader& header) {
  constexpr std::size_t kDim = 40;
  const auto dim = [&](std::size_t k) { return header.number<std::int16_t>(kDim + 2 * k); };
  const int dimensions = dim(0);
  bool is_volume = dimensions >= 3 && dimensions <= 7 && dim(1) > 0 && dim(2) > 0 && dim(3) > 0;
  // More axes of one voxel are none.
  for (int k = 4; is_volume && k <= dimensions; ++k) {
    is_volume = dim(static_cast<std::size_t>(k)) == 1;
  }
  if (!is_volume) {
    std::string text;
    for (std::size_t k = 0; k < 8; ++k) text += (k == 0 ? "" : " ") + std::to_string(dim(k));
    fail(header.name(), "dim = " + in_quotes(text) +
                            " is not supported: a scan has 3 dimensions; "
                            "save one volume");
  }
  return {dim(1), dim(2), dim(3)};
}

Element element_of(const Reader& header) {
  switch (const int type = header.number<std::int16_t>(70)) {
    case 2: return Element::uint8;
    case 4: return Element::int16;
    case 8: return Element::int32;
    case 16: return Element::float32;
    case 64: return Element::float64;
    case 256: return Element::int8;
    case 512: return Element::uint16;
    case 768: return Element::uint32;
    case 1024: return Element::int64;
    case 1280: return Element::uint64;
    case 32:
    case 128:
    case 1792:
    case 2304:
      fail(header.name(), "datatype " + std::to_string(type) +
                              " has several values a voxel; a CT has one channel");
    default:
      fail(header.name(),
           "datatype " + std::to_string(type) + " is not supported; save HU as int16");
  }
}

// niftilib takes 1 mm for a spacing that is none, and ITK's matrices end the program over a NaN.
void require_geometry(const Reader& header) {
  constexpr float kFarthest = 1e7F;  // as Geometry::validate has it
  const auto number = [&](std::size_t at) { return header.number<float>(at); };
  for (std::size_t axis = 1; axis <= 3; ++axis) {
    const float spacing = number(76 + 4 * axis);
    if (!(std::abs(spacing) > 0 && std::abs(spacing) < kFarthest)) {
      fail(header.name(), "pixdim[" + std::to_string(axis) + "] = " + text_of(spacing) +
                              " is no spacing; a CT has three, in millimetres");
    }
  }
  // quatern_b to qoffset_z, srow_x to srow_z.
  constexpr std::size_t kFirst = 256;
  constexpr std::size_t kEnd = 328;
  for (std::size_t at = kFirst; at < kEnd; at += sizeof(float)) {
    if (std::abs(number(at)) <= kFarthest) continue;
    fail(header.name(), "its orientation (qform, sform) holds " + text_of(number(at)) +
                            ", which is no place of a patient");
  }
}

std::uint64_t offset_of(const Reader& header) {
  const double offset = header.number<float>(108);
  constexpr double kLeast = 352;  // after the header and four bytes that announce extensions
  constexpr double kMost = 1 << 30;
  if (!(offset >= kLeast && offset <= kMost) || offset != std::trunc(offset)) {
    fail(header.name(),
         "vox_offset = " + text_of(offset) + ": in one file the voxels begin at byte 352 or later");
  }
  return static_cast<std::uint64_t>(offset);
}

void read_scaling(const Reader& header, NiftiHeader& out) {
  const double slope = header.number<float>(112);
  const double intercept = header.number<float>(116);
  // No scaling: 0 by the standard, NaN as some programs write.
  const bool none = slope == 0 || std::isnan(slope);
  if (none && (intercept == 0 || std::isnan(intercept))) return;
  if (none || !std::isfinite(slope) || !std::isfinite(intercept)) {
    fail(header.name(), "scl_slope = " + text_of(slope) + " with scl_inter = " +
                            text_of(intercept) + " leaves open what the HU are; store slope 1");
  }
  out.scaling = {.slope = slope, .intercept = intercept};
}

}  // namespace

NiftiHeader read_nifti_header(const std::filesystem::path& path) {
  const InputFile file(path);
  std::array<std::byte, 2> magic{};
  if (file.size() < magic.size()) fail(file.name(), "is too short for a NIfTI file");
  file.read(0, magic);
  NiftiHeader out;
  out.is_compressed = magic[0] == std::byte{0x1f} && magic[1] == std::byte{0x8b};
  Bytes bytes{};
  if (out.is_compressed) {
    bytes = inflated_head(file);
  } else {
    if (file.size() < kHeaderBytes) fail(file.name(), "ends within the NIfTI header (truncated?)");
    file.read(0, bytes);
  }
  const Reader header(file.name(), bytes);
  constexpr std::array kOneFile{std::byte{'n'}, std::byte{'+'}, std::byte{'1'}, std::byte{0}};
  if (!std::equal(kOneFile.begin(), kOneFile.end(), bytes.begin() + 344)) {
    fail(file.name(),
         "is no NIfTI-1 in one file (magic is not n+1); save the scan as .nii or "
         ".nii.gz");
  }
  out.is_swapped = header.is_swapped();
  out.shape = shape_of(header);
  out.element = element_of(header);
  require_geometry(header);
  out.has_orientation =
      header.number<std::int16_t>(252) > 0 || header.number<std::int16_t>(254) > 0;
  out.data_offset = offset_of(header);
  read_scaling(header, out);
  return out;
}

const char* name_of(Element element) noexcept {
  switch (element) {
    case Element::int8: return "int8";
    case Element::uint8: return "uint8";
    case Element::int16: return "int16";
    case Element::uint16: return "uint16";
    case Element::int32: return "int32";
    case Element::uint32: return "uint32";
    case Element::int64: return "int64";
    case Element::uint64: return "uint64";
    case Element::float32: return "float32";
    case Element::float64: break;
  }
  return "float64";
}

}  // namespace lunart
