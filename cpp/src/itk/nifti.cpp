#include "itk/nifti.hpp"

#include <itkNiftiImageIO.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "io/element.hpp"
#include "io/hu_buffer.hpp"
#include "io/inflate.hpp"
#include "io/input_file.hpp"
#include "io/text.hpp"
#include "io/uid.hpp"
#include "itk/itk_image.hpp"
#include "itk/nifti_header.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 20U;

using Sink = std::function<void(std::span<const std::byte>)>;

struct Opened {
  NiftiHeader header;
  Geometry geometry;
};

Opened open(const std::filesystem::path& path) {
  Opened scan{.header = read_nifti_header(path), .geometry = {}};
  const auto io = itk::NiftiImageIO::New();
  scan.geometry = read_itk_header(*io, path);
  const IrcIndex& n = scan.geometry.shape;
  if (scan.header.shape != std::array{n.col, n.row, n.index}) {
    throw Error(Errc::scan, shown(path) + ": its dim is no CT scan's");
  }
  return scan;
}

// The whole stream is the header, what lies before vox_offset, and the voxels.
void require_size(const InputFile& file, const NiftiHeader& header, std::uint64_t bytes) {
  const auto fail = [&](const std::string& what) {
    throw Error(Errc::scan, file.name() + ": holds " + std::to_string(file.size()) + " bytes, " +
                                what + std::to_string(bytes));
  };
  if (header.is_compressed) {
    if (!could_inflate(file.size(), bytes)) {
      fail("which cannot inflate to what its header promises (truncated?): ");
    }
  } else if (file.size() != bytes) {
    fail(std::string("but its header promises") + (file.size() < bytes ? " (truncated?) " : " "));
  }
}

// Hands the voxels' bytes to `sink`, whole values at a time.
void stream_voxels(const InputFile& file, const NiftiHeader& header, std::uint64_t bytes,
                   const Sink& sink) {
  if (!header.is_compressed) {
    std::vector<std::byte> chunk(kChunk);
    for (std::uint64_t at = header.data_offset; at < bytes; at += chunk.size()) {
      chunk.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kChunk, bytes - at)));
      file.read(at, chunk);
      sink(chunk);
    }
    return;
  }
  // Pieces of the stream end anywhere.
  std::uint64_t before = header.data_offset;
  const std::size_t size = size_of(header.element);
  std::vector<std::byte> pending;
  inflate_range(
      file, {.offset = 0, .bytes = file.size(), .expected = bytes},
      [&](std::span<const std::byte> raw) {
        const auto skipped = static_cast<std::size_t>(std::min<std::uint64_t>(before, raw.size()));
        before -= skipped;
        raw = raw.subspan(skipped);
        pending.insert(pending.end(), raw.begin(), raw.end());
        const std::size_t whole = pending.size() / size * size;
        if (whole == 0) return;
        sink(std::span(pending).first(whole));
        pending.erase(pending.begin(), pending.begin() + static_cast<std::ptrdiff_t>(whole));
      });
}

void append_voxels(std::span<const std::byte> raw, const NiftiHeader& header, HuBuffer& hu) {
  const Scaling& scaling = header.scaling;
  if (scaling.slope == 1 && scaling.intercept == 0) {
    append_elements(raw, header.element, header.is_swapped, hu);
  } else {
    append_scaled_elements(raw, header.element, header.is_swapped, scaling, hu);
  }
}

std::vector<Warning> warnings_about(const NiftiHeader& header) {
  if (header.has_orientation) return {};
  return {
      {"nifti-orientation",
       "the file does not say where left, front and head are (qform_code and sform_code are 0); "
       "its axes are taken for left, back and head"}};
}

}  // namespace

Volume read_nifti(const std::filesystem::path& path, const Tick& tick) {
  const Opened scan = open(path);
  const InputFile file(path);
  const std::uint64_t bytes =
      scan.header.data_offset + scan.geometry.voxel_count() * size_of(scan.header.element);
  require_size(file, scan.header, bytes);
  HuBuffer hu(scan.geometry.voxel_count(), file.name());
  stream_voxels(file, scan.header, bytes, [&](std::span<const std::byte> raw) {
    if (tick) tick();
    append_voxels(raw, scan.header, hu);
  });
  refuse_not_finite(file.name(), scan.geometry, hu);
  return {.geometry = scan.geometry,
          .hu = hu.hu(),
          .storage = hu.storage(),
          .series_uid = uid_or_empty(path.stem().stem().string()),
          .path = path.string(),
          .warnings = warnings_about(scan.header)};
}

ScanHeader read_nifti_scan_header(const std::filesystem::path& path) {
  const Opened scan = open(path);
  return {.geometry = scan.geometry,
          .element_type = name_of(scan.header.element),
          .compressed = scan.header.is_compressed,
          .series_uid = {}};
}

}  // namespace lunart
