#include "itk/nrrd.hpp"

#include <itkNrrdImageIO.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "io/element.hpp"
#include "io/hu_buffer.hpp"
#include "io/inflate.hpp"
#include "io/text.hpp"
#include "io/uid.hpp"
#include "itk/itk_image.hpp"
#include "itk/nrrd_header.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

using Component = itk::IOComponentEnum;

// By size: what C calls long is not the same everywhere.
std::optional<Element> element_of(const itk::ImageIOBase& io) {
  constexpr std::array kKnown{
      std::pair{Component::CHAR, Element::int8},
      std::pair{Component::UCHAR, Element::uint8},
      std::pair{Component::SHORT, Element::int16},
      std::pair{Component::USHORT, Element::uint16},
      std::pair{Component::INT, Element::int32},
      std::pair{Component::UINT, Element::uint32},
      std::pair{Component::LONGLONG, Element::int64},
      std::pair{Component::ULONGLONG, Element::uint64},
      std::pair{Component::FLOAT, Element::float32},
      std::pair{Component::DOUBLE, Element::float64},
  };
  for (const auto& [component, element] : kKnown) {
    if (component == io.GetComponentType()) return element;
  }
  return std::nullopt;
}

struct Opened {
  std::string name;
  NrrdHeader header;
  itk::NrrdImageIO::Pointer io;
  Geometry geometry;
  Element element{};
  std::uint64_t bytes{};  // of all voxels
};

// Voxels that cannot be there are refused before memory is asked for.
void require_size(const Opened& scan) {
  const NrrdHeader& h = scan.header;
  const auto fail = [&](const std::string& why) {
    throw Error(Errc::scan, shown(h.data) + ": holds " + std::to_string(h.data_bytes) +
                                " bytes of " + h.encoding + " voxels, " + why);
  };
  const std::string wanted =
      "sizes and type " + in_quotes(h.type) + " need " + std::to_string(scan.bytes);
  if (h.is_compressed) {
    if (!could_inflate(h.data_bytes, scan.bytes)) {
      fail("which cannot inflate to what " + wanted + " (truncated?)");
    }
  } else if (h.encoding == "raw") {
    if (h.data_bytes < scan.bytes) fail("but " + wanted + " (truncated?)");
    if (h.data_bytes > scan.bytes && !h.has_skip) fail("but " + wanted);
  } else {
    const std::uint64_t least =
        h.encoding == "hex" ? 2 * scan.bytes : 2 * scan.geometry.voxel_count() - 1;
    if (h.data_bytes < least) fail("and at least " + std::to_string(least) + " are needed");
  }
}

Opened open(const std::filesystem::path& path) {
  Opened scan{.name = shown(path),
              .header = read_nrrd_header(path),
              .io = itk::NrrdImageIO::New(),
              .geometry = {},
              .bytes = {}};
  scan.geometry = read_itk_header(*scan.io, path);
  const IrcIndex& n = scan.geometry.shape;
  // ITK cuts a size down to 32 bits.
  if (scan.header.sizes != std::vector{n.col, n.row, n.index}) {
    throw Error(Errc::scan, scan.name + ": its sizes are no CT scan's");
  }
  const auto element = element_of(*scan.io);
  if (!element) {
    throw Error(Errc::scan, scan.name + ": type " + in_quotes(scan.header.type) +
                                " is not supported; save HU as short");
  }
  scan.element = *element;
  scan.bytes = scan.geometry.voxel_count() * size_of(scan.element);
  require_size(scan);
  return scan;
}

void read_voxels(const Opened& scan, std::span<std::byte> into) {
  with_itk_errors(scan.name, [&] {
    itk::ImageIORegion region(3);
    for (unsigned axis = 0; axis < 3; ++axis) region.SetSize(axis, scan.io->GetDimensions(axis));
    scan.io->SetIORegion(region);
    scan.io->Read(into.data());
  });
}

// The type is not int16: what ITK read is beside the HU for a while.
void read_through_buffer(const Opened& scan, HuBuffer& hu, const Tick& tick) {
  const auto machine = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                       static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  std::unique_ptr<std::byte[]> raw;
  if (scan.bytes < machine / 2) raw.reset(new (std::nothrow) std::byte[scan.bytes]);
  if (!raw) {
    throw Error(Errc::scan, scan.name + ": its voxels need " +
                                std::to_string(scan.bytes / 1'000'000 + 1) +
                                " MB of memory for a while, which this machine does not give; "
                                "save HU as short");
  }
  const std::span all(raw.get(), scan.bytes);
  read_voxels(scan, all);
  constexpr std::size_t kChunk = std::size_t{1} << 20U;
  for (std::size_t done = 0; done < all.size(); done += kChunk) {
    if (tick) tick();
    append_elements(all.subspan(done, std::min(kChunk, all.size() - done)), scan.element, false,
                    hu);
  }
}

std::string series_uid_of(const std::filesystem::path& path) {
  return uid_or_empty(path.stem().string());
}

}  // namespace

Volume read_nrrd(const std::filesystem::path& path, const Tick& tick) {
  const Opened scan = open(path);
  if (tick) tick();
  HuBuffer hu(scan.geometry.voxel_count(), scan.name);
  if (scan.element == Element::int16) {
    read_voxels(scan, std::as_writable_bytes(hu.append_shorts(scan.geometry.voxel_count())));
  } else {
    read_through_buffer(scan, hu, tick);
  }
  if (tick) tick();
  refuse_not_finite(scan.name, scan.geometry, hu);
  return {.geometry = scan.geometry,
          .hu = hu.hu(),
          .storage = hu.storage(),
          .series_uid = series_uid_of(path),
          .path = path.string(),
          .warnings = {}};
}

ScanHeader read_nrrd_scan_header(const std::filesystem::path& path) {
  const Opened scan = open(path);
  return {.geometry = scan.geometry,
          .element_type = scan.header.type,
          .compressed = scan.header.is_compressed,
          .series_uid = series_uid_of(path)};
}

std::vector<std::filesystem::path> files_of_nrrd(const std::filesystem::path& path) {
  NrrdHeader header = read_nrrd_header(path);
  if (header.data == path) return {path};
  return {path, std::move(header.data)};
}

}  // namespace lunart
