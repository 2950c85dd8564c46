#include "itk/dicom_pixels.hpp"

#include <gdcmImage.h>
#include <gdcmSequenceOfFragments.h>
#include <gdcmTrace.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include "io/text.hpp"
#include "itk/codestream.hpp"
#include "itk/dicom_walk.hpp"
#include "itk/rle.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

struct Syntax {
  std::string_view uid, name;
};
constexpr std::array kDecoded{
    Syntax{"1.2.840.10008.1.2.4.50", "JPEG baseline"},
    Syntax{"1.2.840.10008.1.2.4.51", "JPEG extended"},
    Syntax{"1.2.840.10008.1.2.4.57", "JPEG lossless"},
    Syntax{"1.2.840.10008.1.2.4.70", "JPEG lossless, first-order prediction"},
    Syntax{"1.2.840.10008.1.2.4.80", "JPEG-LS lossless"},
    Syntax{"1.2.840.10008.1.2.4.81", "JPEG-LS near-lossless"},
    Syntax{"1.2.840.10008.1.2.4.90", "JPEG 2000 lossless"},
    Syntax{"1.2.840.10008.1.2.4.91", "JPEG 2000"},
    Syntax{"1.2.840.10008.1.2.5", "RLE lossless"},
};
// Implicit, explicit, big endian; a deflated data set is inflated by now, and a file without meta
// information is one of them.
constexpr std::array<std::string_view, 4> kPlain{"", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1",
                                                 "1.2.840.10008.1.2.2"};

[[noreturn]] void fail(const std::string& name, const std::string& what) {
  throw Error(Errc::scan, name + ": " + what);
}

struct PixelLayout {
  std::uint16_t rows{}, cols{}, allocated{}, stored{}, high{}, is_signed{};

  [[nodiscard]] std::size_t bytes() const { return std::size_t{rows} * cols * (allocated / 8U); }
};

constexpr std::string_view kRle = "1.2.840.10008.1.2.5";
constexpr std::uint32_t kFrames = 0x00280008;
// Elements that lay out the pixels.
constexpr std::array<std::uint32_t, 7> kLayout{kFrames,    0x00280010, 0x00280011, 0x00280100,
                                               0x00280101, 0x00280102, 0x00280103};

std::optional<std::uint16_t> short_in(const DicomLayout& file, std::uint32_t tag) {
  const auto found = file.values.find(tag);
  if (found == file.values.end() || found->second.bytes.size() < sizeof(std::uint16_t)) {
    return std::nullopt;
  }
  const auto byte = [&](std::size_t i) {
    return static_cast<unsigned char>(found->second.bytes[file.is_big_endian ? 1 - i : i]);
  };
  return static_cast<std::uint16_t>(byte(0) | byte(1) << 8U);
}

PixelLayout layout_of(const DicomLayout& file, const std::string& name) {
  PixelLayout out;
  out.rows = short_in(file, 0x00280010).value_or(0);
  out.cols = short_in(file, 0x00280011).value_or(0);
  out.allocated = short_in(file, 0x00280100).value_or(0);
  out.stored = short_in(file, 0x00280101).value_or(out.allocated);
  out.high = short_in(file, 0x00280102).value_or(static_cast<std::uint16_t>(out.stored - 1));
  out.is_signed = short_in(file, 0x00280103).value_or(0) == 0 ? 0 : 1;
  const bool has_size = out.allocated == 8 || out.allocated == 16 || out.allocated == 32;
  if (!has_size || out.stored < 1 || out.stored > out.allocated || out.high + 1 < out.stored ||
      out.high >= out.allocated || out.rows == 0 || out.cols == 0) {
    fail(name, "BitsAllocated " + std::to_string(out.allocated) + ", BitsStored " +
                   std::to_string(out.stored) + ", HighBit " + std::to_string(out.high) +
                   ": no layout of pixels that lunart reads");
  }
  return out;
}

// Calls `work` with a value of the type of the stored pixels.
template <class Work>
void with_type(const PixelLayout& layout, const Work& work) {
  const bool is_signed = layout.is_signed != 0;
  if (layout.allocated == 8) is_signed ? work(std::int8_t{}) : work(std::uint8_t{});
  if (layout.allocated == 16) is_signed ? work(std::int16_t{}) : work(std::uint16_t{});
  if (layout.allocated == 32) is_signed ? work(std::int32_t{}) : work(std::uint32_t{});
}

// What other programs keep in the unused bits goes, the sign is extended.
template <class T>
void clean_bits(std::span<T> pixels, const PixelLayout& layout) {
  using Bits = std::make_unsigned_t<T>;
  const int above = layout.allocated - 1 - layout.high;
  const int below = layout.allocated - layout.stored;
  if (below == 0) return;
  for (T& pixel : pixels) {
    const auto bits = static_cast<Bits>(static_cast<Bits>(pixel) << above);
    pixel = static_cast<T>(static_cast<T>(bits) >> below);
  }
}

template <class T>
void swap_bytes(std::span<T> pixels) {
  for (T& pixel : pixels) {
    auto raw = std::bit_cast<std::array<std::byte, sizeof(T)>>(pixel);
    std::ranges::reverse(raw);
    pixel = std::bit_cast<T>(raw);
  }
}

std::vector<char> sliced(std::istream& stream, const DicomLayout& file, const PixelLayout& layout,
                         std::size_t frame, const std::string& name) {
  std::vector<char> bytes(layout.bytes());
  const std::uint64_t begin = std::uint64_t{frame} * bytes.size();
  if (file.pixels_length == kUndefinedLength || file.pixels_length < begin + bytes.size()) {
    fail(name, "is cut: it holds " + std::to_string(file.pixels_length) +
                   " bytes of pixels, too few for frame " + std::to_string(frame + 1) + " of " +
                   std::to_string(layout.cols) + " x " + std::to_string(layout.rows) + " x " +
                   std::to_string(layout.allocated / 8));
  }
  stream.clear();
  stream.seekg(static_cast<std::streamoff>(file.pixels_at + begin));
  stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!stream) fail(name, "is cut within its pixels");
  with_type(layout, [&]<class T>(T) {
    const std::span<T> pixels(reinterpret_cast<T*>(bytes.data()), bytes.size() / sizeof(T));
    if (file.is_big_endian) {
      if (sizeof(T) == 1) fail(name, "8-bit pixels in big endian are not read");
      swap_bytes(pixels);
    }
    clean_bits(pixels, layout);
  });
  return bytes;
}

std::size_t frames_in(const DicomLayout& file) {
  const auto found = file.values.find(kFrames);
  if (found == file.values.end()) return 1;
  const auto count = integer_of(trimmed(found->second.bytes)).value_or(1);
  return count < 1 ? 1 : static_cast<std::size_t>(count);
}

std::vector<char> bytes_of(std::istream& stream, const DicomFragment& fragment,
                           const std::string& name) {
  std::vector<char> bytes(fragment.length);
  stream.clear();
  stream.seekg(static_cast<std::streamoff>(fragment.at));
  stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!stream) fail(name, "is cut within its pixels");
  return bytes;
}

// Where frames begin, in bytes from the first fragment's item; empty when the file does not say.
std::vector<std::uint64_t> offsets_of(std::istream& stream, const DicomLayout& file,
                                      std::size_t frames, const std::string& name) {
  constexpr std::size_t kBytes = 4;
  if (file.fragments.front().length != frames * kBytes) return {};
  const std::vector<char> table = bytes_of(stream, file.fragments.front(), name);
  std::vector<std::uint64_t> offsets(frames);
  for (std::size_t i = 0; i < frames * kBytes; ++i) {
    offsets[i / kBytes] |= std::uint64_t{static_cast<unsigned char>(table[i])} << 8 * (i % kBytes);
  }
  return offsets;
}

// A frame's own fragments.
std::vector<DicomFragment> fragments_of(std::istream& stream, const DicomLayout& file,
                                        std::size_t frame, const std::string& name) {
  if (file.fragments.size() < 2) {
    fail(name, "holds no compressed pixels, though its transfer syntax is of such");
  }
  const std::vector<DicomFragment> all(file.fragments.begin() + 1, file.fragments.end());
  const std::size_t frames = frames_in(file);
  if (frames == 1) return all;
  if (all.size() == frames && frame < frames) return {all[frame]};
  const std::vector<std::uint64_t> offsets = offsets_of(stream, file, frames, name);
  std::vector<DicomFragment> own;
  for (const DicomFragment& fragment : all) {
    const std::uint64_t offset = fragment.at - all.front().at;
    const bool is_own = frame < offsets.size() && offset >= offsets[frame] &&
                        (frame + 1 == offsets.size() || offset < offsets[frame + 1]);
    if (is_own) own.push_back(fragment);
  }
  if (own.empty()) {
    fail(name, "holds " + std::to_string(frames) + " compressed frames in " +
                   std::to_string(all.size()) + " fragments, without saying where each begins");
  }
  return own;
}

// Decoders believe the codestream, not the tags.
void require_same_size(std::span<const char> codestream, const Syntax& syntax,
                       const PixelLayout& layout, const std::string& name) {
  const std::span stream(reinterpret_cast<const unsigned char*>(codestream.data()),
                         codestream.size());
  const auto size =
      syntax.name.starts_with("JPEG 2000") ? jpeg2000_size(stream) : jpeg_size(stream);
  if (!size) fail(name, "its " + std::string(syntax.name) + " pixels are damaged");
  if (size->rows != layout.rows || size->cols != layout.cols || size->components != 1 ||
      size->bits > layout.allocated) {
    fail(name, "its " + std::string(syntax.name) + " pixels are " + std::to_string(size->cols) +
                   " x " + std::to_string(size->rows) + " x " + std::to_string(size->components) +
                   " of " + std::to_string(size->bits) + " bits, not " +
                   std::to_string(layout.cols) + " x " + std::to_string(layout.rows) + " of " +
                   std::to_string(layout.allocated));
  }
}

std::vector<char> decoded_by_gdcm(std::span<const char> codestream, const Syntax& syntax,
                                  const PixelLayout& layout, const std::string& name) {
  require_same_size(codestream, syntax, layout, name);
  gdcm::Fragment fragment;
  fragment.SetByteValue(codestream.data(), static_cast<std::uint32_t>(codestream.size()));
  const gdcm::SmartPointer<gdcm::SequenceOfFragments> one = new gdcm::SequenceOfFragments;
  one->AddFragment(fragment);
  gdcm::DataElement element(gdcm::Tag(0x7fe0, 0x0010));
  element.SetVR(gdcm::VR::OB);
  element.SetValue(*one);

  gdcm::Image image;
  image.SetNumberOfDimensions(2);
  image.SetDimension(0, layout.cols);
  image.SetDimension(1, layout.rows);
  image.SetPixelFormat(
      gdcm::PixelFormat(1, layout.allocated, layout.stored, layout.high, layout.is_signed));
  image.SetPhotometricInterpretation(gdcm::PhotometricInterpretation::MONOCHROME2);
  image.SetTransferSyntax(gdcm::TransferSyntax::GetTSType(std::string(syntax.uid).c_str()));
  image.SetDataElement(element);
  std::vector<char> bytes(layout.bytes());
  const bool fits = image.GetBufferLength() == bytes.size();
  if (!fits || !image.GetBuffer(bytes.data()) || image.GetBufferLength() != bytes.size()) {
    fail(name, "its " + std::string(syntax.name) + " pixels cannot be decoded (damaged?)");
  }
  return bytes;
}

std::vector<char> decoded(std::span<const char> codestream, const Syntax& syntax,
                          const PixelLayout& layout, const std::string& name) {
  std::vector<char> bytes;
  if (syntax.uid == kRle) {
    auto unpacked =
        unpacked_rle(codestream, std::size_t{layout.rows} * layout.cols, layout.allocated / 8U);
    if (!unpacked) fail(name, "its RLE lossless pixels are damaged");
    bytes = *std::move(unpacked);
  } else {
    bytes = decoded_by_gdcm(codestream, syntax, layout, name);
  }
  with_type(layout, [&]<class T>(T) {  // JPEG-LS has no sign
    clean_bits(std::span(reinterpret_cast<T*>(bytes.data()), bytes.size() / sizeof(T)), layout);
  });
  return bytes;
}

// GDCM writes to standard error unless it is told not to.
void silence_gdcm() {
  gdcm::Trace::DebugOff();
  gdcm::Trace::WarningOff();
  gdcm::Trace::ErrorOff();
}

// Runs `work`; what GDCM throws becomes Errc::scan.
template <class Work>
auto with_gdcm_errors(const std::string& name, const Work& work) {
  try {
    return work();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    fail(name, "GDCM cannot read it (" + printable(error.what()) + ")");
  }
}

}  // namespace

struct PixelFile::Impl {
  std::unique_ptr<std::istream> stream;
  std::string name;
  DicomLayout file;
  const Syntax* syntax{};  // null: not compressed
  PixelLayout layout;

  void open() {
    stream->seekg(0, std::ios::end);  // at the end of a zip's member its checksum is compared
    if (auto inflated = inflated_copy(*stream, name)) stream = std::move(inflated);
    file = walk_dicom(*stream, name, WalkTo::end, kLayout);
    if (file.pixels_at == 0) fail(name, "holds no pixels (PixelData)");
    const bool is_plain = std::ranges::find(kPlain, file.syntax) != kPlain.end();
    const auto* const known = std::ranges::find(kDecoded, file.syntax, &Syntax::uid);
    if (!is_plain && known == kDecoded.end()) {
      fail(name, "is compressed as " + in_quotes(file.syntax) +
                     ", which lunart does not read; convert it, e.g. with gdcmconv --raw");
    }
    if (!is_plain) syntax = known;
    layout = layout_of(file, name);
  }

  std::vector<char> bytes(std::size_t frame) {
    if (syntax == nullptr) return sliced(*stream, file, layout, frame, name);
    std::vector<char> codestream;
    for (const DicomFragment& fragment : fragments_of(*stream, file, frame, name)) {
      const std::vector<char> piece = bytes_of(*stream, fragment, name);
      codestream.insert(codestream.end(), piece.begin(), piece.end());
    }
    silence_gdcm();
    return decoded(codestream, *syntax, layout, name);
  }
};

PixelFile::PixelFile(std::unique_ptr<std::istream> stream, std::string name)
    : impl_(std::make_unique<Impl>()) {
  impl_->stream = std::move(stream);
  impl_->name = std::move(name);
  impl_->open();
}

PixelFile::~PixelFile() = default;

StoredPixels PixelFile::frame(std::size_t number) {
  StoredPixels out;
  out.bytes = with_gdcm_errors(impl_->name, [&] { return impl_->bytes(number); });
  with_type(impl_->layout, [&]<class T>(T) {
    out.pixels =
        std::span(reinterpret_cast<const T*>(out.bytes.data()), out.bytes.size() / sizeof(T));
  });
  return out;
}

}  // namespace lunart
