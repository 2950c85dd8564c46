#include "itk/dicom_tags.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <string_view>
#include <utility>

#include "io/text.hpp"
#include "itk/dicom_walk.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

constexpr std::uint32_t kTransferSyntax = 0x00020010;
constexpr std::uint32_t kFrames = 0x00280008;
constexpr std::string_view kMediaDirectory = "1.2.840.10008.1.3.10";

// Those of the wanted ones that are numbers (US) also where the file does not say so.
bool is_short(std::uint32_t tag) {
  constexpr std::array<std::uint32_t, 4> kShorts{0x00280002, 0x00280010, 0x00280011, 0x00280100};
  return std::ranges::find(kShorts, tag) != kShorts.end();
}

template <class T>
std::string numbers_in(std::string_view raw, bool is_big_endian) {
  constexpr std::size_t kMost = 16;
  std::string out;
  for (std::size_t i = 0; i < std::min(raw.size() / sizeof(T), kMost); ++i) {
    std::array<char, sizeof(T)> bytes{};
    raw.copy(bytes.data(), bytes.size(), i * sizeof(T));
    if (is_big_endian) std::ranges::reverse(bytes);
    T value{};
    std::memcpy(&value, bytes.data(), sizeof(T));
    if (i > 0) out += '\\';
    out += text_of(static_cast<double>(value));
  }
  return out;
}

std::string text_in(const DicomValue& value, std::uint32_t tag, bool is_big_endian) {
  const std::string_view vr(value.vr.data(), value.vr.size());
  const auto as = [&]<class T>(T) { return numbers_in<T>(value.bytes, is_big_endian); };
  if (vr == "SS") return as(std::int16_t{});
  if (vr == "US" || is_short(tag)) return as(std::uint16_t{});
  if (vr == "UL") return as(std::uint32_t{});
  if (vr == "SL") return as(std::int32_t{});
  if (vr == "FL") return as(float{});
  if (vr == "FD") return as(double{});
  return value.bytes;
}

using Tags = std::map<dicom::Tag, std::string>;

void add_tags(const DicomValues& values, bool is_big_endian, Tags& tags) {
  for (const auto& [tag, value] : values) tags[tag] = text_in(value, tag, is_big_endian);
}

}  // namespace

std::vector<dicom::Instance> read_tags(std::istream& given, const std::string& file) {
  if (!begins_as_dicom(given)) return {};
  const std::string name = in_quotes(file);
  const std::unique_ptr<std::istream> inflated = inflated_copy(given, name);
  const DicomLayout layout =
      walk_dicom(inflated ? *inflated : given, name, WalkTo::pixels, dicom::wanted_tags());
  if (layout.media_class == kMediaDirectory) return {};
  if (layout.values.empty()) {
    throw Error(Errc::scan, name + ": is cut off: it holds no element of an image");
  }

  dicom::Instance whole{.file = file, .tags = {}};
  add_tags(layout.values, layout.is_big_endian, whole.tags);
  whole.tags[kTransferSyntax] = layout.syntax;
  if (layout.frames.empty()) return {std::move(whole)};

  // An enhanced file taken apart: a frame's groups before the shared ones, merged into the top.
  std::string& count = whole.tags[kFrames];
  count = std::string(trimmed(count));
  if (count != std::to_string(layout.frames.size())) {
    // Refused by the rules, as frames that they cannot see.
    if (count.empty() || count == "1") count = "?";
    return {std::move(whole)};
  }
  add_tags(layout.shared, layout.is_big_endian, whole.tags);
  std::vector<dicom::Instance> list;
  for (std::size_t i = 0; i < layout.frames.size(); ++i) {
    dicom::Instance& frame = list.emplace_back(whole);
    frame.frame = static_cast<std::int64_t>(i);
    add_tags(layout.frames[i], layout.is_big_endian, frame.tags);
    frame.tags[kFrames] = "1";
  }
  return list;
}

}  // namespace lunart
