#include "itk/dicom_tags.hpp"

#include <gdcmReader.h>
#include <gdcmSequenceOfItems.h>
#include <gdcmTrace.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <set>
#include <string_view>
#include <utility>

#include "io/text.hpp"
#include "itk/dicom_walk.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

constexpr std::uint32_t kTransferSyntax = 0x00020010;
constexpr std::uint32_t kFrames = 0x00280008;
constexpr std::uint32_t kShared = 0x52009229;    // SharedFunctionalGroupsSequence
constexpr std::uint32_t kPerFrame = 0x52009230;  // PerFrameFunctionalGroupsSequence
constexpr std::string_view kMediaDirectory = "1.2.840.10008.1.3.10";
// Of one element; a longer one is hostile or no text.
constexpr std::size_t kMostText = 4096;

// Those of the wanted ones that are numbers (US) also where the file does not say so.
bool is_short(std::uint32_t tag) {
  constexpr std::array<std::uint32_t, 4> kShorts{0x00280002, 0x00280010, 0x00280011, 0x00280100};
  return std::ranges::find(kShorts, tag) != kShorts.end();
}

template <class T>
std::string numbers_in(std::string_view raw) {
  constexpr std::size_t kMost = 16;
  std::string out;
  for (std::size_t i = 0; i < std::min(raw.size() / sizeof(T), kMost); ++i) {
    T value{};
    std::memcpy(&value, raw.data() + i * sizeof(T), sizeof(T));
    if (i > 0) out += '\\';
    out += std::to_string(value);
  }
  return out;
}

std::string text_of(const gdcm::DataElement& element, std::uint32_t tag) {
  const gdcm::VR vr = element.GetVR();
  if (vr == gdcm::VR::SQ) return element.IsEmpty() ? "" : "sequence";
  const gdcm::ByteValue* const value = element.GetByteValue();
  if (value == nullptr) return element.IsEmpty() ? "" : "sequence";
  const std::string_view raw(value->GetPointer(), value->GetLength());
  if (vr == gdcm::VR::US || (is_short(tag) && vr != gdcm::VR::SS)) {
    return numbers_in<std::uint16_t>(raw);
  }
  if (vr == gdcm::VR::SS) return numbers_in<std::int16_t>(raw);
  if (vr == gdcm::VR::UL) return numbers_in<std::uint32_t>(raw);
  if (vr == gdcm::VR::SL) return numbers_in<std::int32_t>(raw);
  if (vr == gdcm::VR::FL) return numbers_in<float>(raw);
  if (vr == gdcm::VR::FD) return numbers_in<double>(raw);
  return std::string(raw.substr(0, kMostText));
}

using Tags = std::map<dicom::Tag, std::string>;

void add_tags(const gdcm::DataSet& data, Tags& tags) {
  for (const dicom::Tag tag : dicom::wanted_tags()) {
    if (!data.FindDataElement(gdcm::Tag(tag))) continue;
    tags[tag] = text_of(data.GetDataElement(gdcm::Tag(tag)), tag);
  }
}

gdcm::SmartPointer<gdcm::SequenceOfItems> sequence_in(const gdcm::DataSet& data,
                                                      std::uint32_t tag) {
  if (!data.FindDataElement(gdcm::Tag(tag))) return nullptr;
  return data.GetDataElement(gdcm::Tag(tag)).GetValueAsSQ();
}

// What the functional groups of a frame say, flat.
void add_groups(const gdcm::DataSet& groups, Tags& tags) {
  for (const gdcm::DataElement& element : groups.GetDES()) {
    const auto group = element.GetValueAsSQ();
    if (group && group->GetNumberOfItems() > 0)
      add_tags(group->GetItem(1).GetNestedDataSet(), tags);
  }
}

// An enhanced file taken apart: the frame's groups before the shared ones, merged into the top
// level.
std::vector<dicom::Instance> frames_of(const gdcm::DataSet& data, dicom::Instance instance) {
  const auto frames = sequence_in(data, kPerFrame);
  if (!frames || frames->GetNumberOfItems() == 0) return {std::move(instance)};
  std::string& count = instance.tags[kFrames];
  count = std::string(trimmed(count));
  if (count != std::to_string(frames->GetNumberOfItems())) {
    // Refused by the rules, as frames that they cannot see.
    if (count.empty() || count == "1") count = "?";
    return {std::move(instance)};
  }
  count = "1";
  if (const auto shared = sequence_in(data, kShared); shared && shared->GetNumberOfItems() > 0) {
    add_groups(shared->GetItem(1).GetNestedDataSet(), instance.tags);
  }
  std::vector<dicom::Instance> list;
  for (std::size_t i = 0; i < frames->GetNumberOfItems(); ++i) {
    dicom::Instance& frame = list.emplace_back(instance);
    frame.frame = static_cast<std::int64_t>(i);
    add_groups(frames->GetItem(i + 1).GetNestedDataSet(), frame.tags);
    frame.tags[kFrames] = "1";
  }
  return list;
}

}  // namespace

void silence_gdcm() {
  gdcm::Trace::DebugOff();
  gdcm::Trace::WarningOff();
  gdcm::Trace::ErrorOff();
}

std::vector<dicom::Instance> read_tags(std::istream& given, const std::string& file) {
  if (!begins_as_dicom(given)) return {};
  const std::string name = in_quotes(file);
  const std::unique_ptr<std::istream> inflated = inflated_copy(given, name);
  std::istream& stream = inflated ? *inflated : given;
  const DicomLayout layout = walk_dicom(stream, name, WalkTo::pixels);
  if (layout.media_class == kMediaDirectory) return {};

  std::set<gdcm::Tag> wanted{gdcm::Tag(kShared), gdcm::Tag(kPerFrame)};
  for (const dicom::Tag tag : dicom::wanted_tags()) {
    if (tag != kTransferSyntax) wanted.insert(gdcm::Tag(tag));
  }
  gdcm::Reader reader;
  reader.SetStream(stream);
  try {
    if (!reader.ReadSelectedTags(wanted)) throw Error(Errc::scan, name + ": GDCM cannot read it");
    dicom::Instance instance{.file = file, .tags = {}};
    const gdcm::DataSet& data = reader.GetFile().GetDataSet();
    add_tags(data, instance.tags);
    instance.tags[kTransferSyntax] = layout.syntax;
    return frames_of(data, std::move(instance));
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw Error(Errc::scan, name + ": GDCM cannot read it (" + printable(error.what()) + ")");
  }
}

}  // namespace lunart
