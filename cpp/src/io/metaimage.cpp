#include "io/metaimage.hpp"

#include <algorithm>
#include <vector>

#include "io/ascii_numbers.hpp"
#include "io/hu_buffer.hpp"
#include "io/inflate.hpp"
#include "io/input_file.hpp"
#include "io/metaimage_data.hpp"
#include "io/metaimage_header.hpp"
#include "io/text.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 20U;

// What the header says of one data file, after comparison with the file itself.
class PartReader {
 public:
  PartReader(const MetaImageHeader& header, const DataPart& part)
      : header_(header), part_(part), file_(part.path) {
    bytes_ = part.voxels * size_of(header.element);
    if (!header.skipped_bytes && file_.size() < bytes_) wrong_size();
    offset_ = header.skipped_bytes.value_or(file_.size() - bytes_);
    if (header.skipped_bytes == std::uint64_t{0}) offset_ = part.first_byte;
    if (offset_ < part.first_byte) {
      fail("HeaderSize puts the voxels at byte " + std::to_string(offset_) +
           ", inside the text header of " + std::to_string(part.first_byte) + " bytes");
    }
    if (offset_ > file_.size()) {
      fail("HeaderSize " + std::to_string(offset_) + " is beyond the file's " +
           std::to_string(file_.size()) + " bytes");
    }
    if (part.is_compressed) {
      check_compressed();
    } else if (header.is_binary) {
      if (available() != bytes_) wrong_size();
    } else if (available() < 2 * part.voxels - 1) {  // a digit each and a blank between
      fail("has " + std::to_string(available()) + " bytes of text for " +
           std::to_string(part.voxels) + " numbers");
    }
  }

  void read_into(HuBuffer& hu, const Tick& tick) const {
    if (header_.element == Element::int16 && header_.is_binary) {
      read_shorts(hu.append_shorts(part_.voxels), tick);
      return;
    }
    const auto append = [&](std::span<const std::byte> raw) {
      if (tick) tick();
      append_elements(raw, header_.element, header_.is_swapped, hu);
    };
    if (part_.is_compressed) {
      inflate_range(file_, compressed_range(), append);
    } else if (header_.is_binary) {
      std::vector<std::byte> chunk(
          static_cast<std::size_t>(std::min<std::uint64_t>(kChunk, bytes_)));
      for (std::uint64_t done = 0; done < bytes_; done += chunk.size()) {
        chunk.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kChunk, bytes_ - done)));
        file_.read(offset_ + done, chunk);
        append(chunk);
      }
    } else {
      read_ascii_numbers(file_, offset_, part_.voxels, [&](std::span<const double> numbers) {
        if (tick) tick();
        if (const auto wrong = append_numbers(numbers, header_.element, hu)) {
          fail("holds " + text_of(*wrong) + ", which is no " + header_.element_type);
        }
      });
    }
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(Errc::scan, file_.name() + ": " + what);
  }

  // What nearly every scan holds needs no pass over its values: it is read to where it stays.
  void read_shorts(std::span<std::int16_t> voxels, const Tick& tick) const {
    const std::span<std::byte> bytes = std::as_writable_bytes(voxels);
    if (part_.is_compressed) {
      std::size_t done = 0;
      inflate_range(file_, compressed_range(), [&](std::span<const std::byte> raw) {
        if (tick) tick();
        std::ranges::copy(raw, bytes.begin() + static_cast<std::ptrdiff_t>(done));
        done += raw.size();
      });
    } else {
      for (std::size_t done = 0; done < bytes.size(); done += kChunk) {
        if (tick) tick();
        file_.read(offset_ + done, bytes.subspan(done, std::min(kChunk, bytes.size() - done)));
      }
    }
    if (header_.is_swapped) swap_bytes(voxels);
  }

  [[nodiscard]] CompressedRange compressed_range() const {
    return {.offset = offset_, .bytes = available(), .expected = bytes_};
  }

  [[nodiscard]] std::uint64_t available() const { return file_.size() - offset_; }

  // A surplus is refused too, although SimpleITK ignores it: either DimSize or ElementType is
  // wrong, or a header precedes the voxels, and then every voxel is misplaced.
  [[noreturn]] void wrong_size() const {
    const std::uint64_t found = header_.skipped_bytes ? available() : file_.size();
    fail("holds " + std::to_string(found) + " bytes of voxels, but DimSize and ElementType " +
         header_.element_type + " need " + std::to_string(bytes_) +
         (found < bytes_ ? " (truncated?)" : " (HeaderSize = -1 skips what precedes the voxels)"));
  }

  void check_compressed() const {
    const std::uint64_t promised = header_.compressed_bytes.value_or(available());
    if (promised != available()) {
      fail("holds " + std::to_string(available()) +
           " compressed bytes, but CompressedDataSize = " + std::to_string(promised));
    }
    if (!could_inflate(available(), bytes_)) {
      fail("holds " + std::to_string(available()) +
           " compressed bytes, which cannot inflate to the " + std::to_string(bytes_) +
           " that DimSize and ElementType promise (truncated?)");
    }
  }

  const MetaImageHeader& header_;
  const DataPart& part_;
  InputFile file_;
  std::uint64_t bytes_{};   // of voxels, inflated
  std::uint64_t offset_{};  // of the voxels in the file
};

void refuse_not_finite(const MetaImageHeader& header, const HuBuffer& hu) {
  if (hu.not_finite() == 0) return;
  const auto col = static_cast<std::size_t>(header.geometry.shape.col);
  const auto slice = col * static_cast<std::size_t>(header.geometry.shape.row);
  const std::size_t at = hu.first_not_finite();
  throw Error(Errc::scan, header.name + ": " + std::to_string(hu.not_finite()) +
                              " voxels are NaN or infinite, the first at (index, row, col) = (" +
                              std::to_string(at / slice) + ", " + std::to_string(at % slice / col) +
                              ", " + std::to_string(at % col) + "); give them a HU, such as -1000");
}

}  // namespace

Volume read_metaimage(const std::filesystem::path& path, const Tick& tick) {
  const MetaImageHeader header = read_metaimage_header(path);
  const std::vector<DataPart> parts = data_parts(header);
  // All sizes are compared before memory is asked for.
  for (const DataPart& part : parts) static_cast<void>(PartReader(header, part));
  HuBuffer hu(header.geometry.voxel_count(), header.name);
  for (const DataPart& part : parts) PartReader(header, part).read_into(hu, tick);
  refuse_not_finite(header, hu);
  return {.geometry = header.geometry,
          .hu = hu.hu(),
          .storage = hu.storage(),
          .series_uid = header.series_uid,
          .path = path.string(),
          .warnings = {}};
}

}  // namespace lunart
