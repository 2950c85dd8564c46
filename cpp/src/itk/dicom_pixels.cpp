#include "itk/dicom_pixels.hpp"

#include <gdcmImage.h>
#include <gdcmReader.h>
#include <gdcmSequenceOfFragments.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include "io/text.hpp"
#include "itk/codestream.hpp"
#include "itk/dicom_walk.hpp"
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

std::optional<std::uint16_t> short_in(const gdcm::DataSet& data, std::uint32_t tag) {
  if (!data.FindDataElement(gdcm::Tag(tag))) return std::nullopt;
  const gdcm::ByteValue* const value = data.GetDataElement(gdcm::Tag(tag)).GetByteValue();
  if (value == nullptr || value->GetLength() < sizeof(std::uint16_t)) return std::nullopt;
  std::uint16_t number = 0;
  std::memcpy(&number, value->GetPointer(), sizeof(number));
  return number;
}

PixelLayout layout_of(const gdcm::DataSet& data, const std::string& name) {
  PixelLayout out;
  out.rows = short_in(data, 0x00280010).value_or(0);
  out.cols = short_in(data, 0x00280011).value_or(0);
  out.allocated = short_in(data, 0x00280100).value_or(0);
  out.stored = short_in(data, 0x00280101).value_or(out.allocated);
  out.high = short_in(data, 0x00280102).value_or(static_cast<std::uint16_t>(out.stored - 1));
  out.is_signed = short_in(data, 0x00280103).value_or(0) == 0 ? 0 : 1;
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
                         const std::string& name) {
  std::vector<char> bytes(layout.bytes());
  if (file.pixels_length == kUndefinedLength || file.pixels_length < bytes.size()) {
    fail(name, "is cut: it holds " + std::to_string(file.pixels_length) + " bytes of pixels, not " +
                   std::to_string(layout.cols) + " x " + std::to_string(layout.rows) + " x " +
                   std::to_string(layout.allocated / 8));
  }
  stream.clear();
  stream.seekg(static_cast<std::streamoff>(file.pixels_at));
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

// Decoders believe the codestream, not the tags.
void require_same_size(const gdcm::SequenceOfFragments& fragments, const Syntax& syntax,
                       const PixelLayout& layout, const std::string& name) {
  constexpr std::string_view kRle = "1.2.840.10008.1.2.5";
  if (syntax.uid == kRle) return;  // has no size of its own
  std::vector<char> whole(fragments.ComputeByteLength());
  if (!fragments.GetBuffer(whole.data(), whole.size())) fail(name, "its pixels are damaged");
  const std::span stream(reinterpret_cast<const unsigned char*>(whole.data()), whole.size());
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

std::vector<char> decoded(const gdcm::DataElement& element, const Syntax& syntax,
                          const PixelLayout& layout, const std::string& name) {
  const gdcm::SequenceOfFragments* const fragments = element.GetSequenceOfFragments();
  if (fragments == nullptr || fragments->GetNumberOfFragments() == 0) {
    fail(name,
         "holds no compressed pixels, though its transfer syntax is " + std::string(syntax.name));
  }
  require_same_size(*fragments, syntax, layout, name);
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

gdcm::DataElement fragments_of(const gdcm::DataSet& data, const std::string& name) {
  const gdcm::Tag tag(0x7fe0, 0x0010);
  if (!data.FindDataElement(tag)) fail(name, "holds no pixels (PixelData)");
  return data.GetDataElement(tag);
}

// The elements that lay out the pixels, and with `pixels` those too.
void read_with(gdcm::Reader& reader, std::istream& stream, bool is_plain, const std::string& name) {
  reader.SetStream(stream);
  bool good = false;
  if (is_plain) {
    std::set<gdcm::Tag> wanted;
    for (const std::uint32_t tag :
         {0x00280010U, 0x00280011U, 0x00280100U, 0x00280101U, 0x00280102U, 0x00280103U}) {
      wanted.insert(gdcm::Tag(tag));
    }
    good = reader.ReadSelectedTags(wanted);
  } else {
    good = reader.Read();
  }
  if (!good) fail(name, "GDCM cannot read it");
}

std::vector<char> bytes_of(std::istream& stream, const std::string& name, PixelLayout& layout) {
  const DicomLayout file = walk_dicom(stream, name, WalkTo::end);
  if (file.pixels_at == 0) fail(name, "holds no pixels (PixelData)");
  const bool is_plain = std::ranges::find(kPlain, file.syntax) != kPlain.end();
  const auto* const syntax = std::ranges::find(kDecoded, file.syntax, &Syntax::uid);
  if (!is_plain && syntax == kDecoded.end()) {
    fail(name, "is compressed as " + in_quotes(file.syntax) +
                   ", which lunart does not read; convert it, e.g. with gdcmconv --raw");
  }
  gdcm::Reader reader;
  read_with(reader, stream, is_plain, name);
  const gdcm::DataSet& data = reader.GetFile().GetDataSet();
  layout = layout_of(data, name);
  return is_plain ? sliced(stream, file, layout, name)
                  : decoded(fragments_of(data, name), *syntax, layout, name);
}

}  // namespace

StoredPixels read_pixels(std::istream& given, const std::string& name) {
  StoredPixels out;
  PixelLayout layout;
  try {
    const std::unique_ptr<std::istream> inflated = inflated_copy(given, name);
    out.bytes = bytes_of(inflated ? *inflated : given, name, layout);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    fail(name, "GDCM cannot read it (" + printable(error.what()) + ")");
  }
  with_type(layout, [&]<class T>(T) {
    out.pixels =
        std::span(reinterpret_cast<const T*>(out.bytes.data()), out.bytes.size() / sizeof(T));
  });
  return out;
}

}  // namespace lunart
