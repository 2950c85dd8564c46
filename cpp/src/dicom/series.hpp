// Which DICOM files make a CT scan: the rules, without a DICOM library. Whoever has one (pydicom in
// Python, GDCM in the native program) hands over text and stored pixels; nothing else is decided
// there, so that both read the same scan.
//
//   std::vector<Instance> found;                     // one a file, or one a frame of a file
//   for each file: found.push_back({.file = name, .tags = text of wanted_tags()});
//   for (const Series& s : series_of(found)) ...     // what --info lists
//   const Plan plan = make_plan(found, {.source = path, .series = uid});     // plan.hpp
//   Assembler volume(plan);                                                  // assemble.hpp
//   for (const PlannedSlice& slice : plan.slices) {
//     volume.append(stored pixels of found[slice.instance]);
//     for (const StoredSlice& twin : slice.twins) {
//       volume.compare(stored pixels of found[twin.instance]);
//     }
//   }
//   Volume scan = std::move(volume).finish();
//
// Text is as the file has it: values separated by backslashes, padding and all, numbers of binary
// VRs in decimals ("512"), of an absent or empty element "". A sequence is present (any text) or
// not. Text is hostile: the rules parse it strictly and escape what they quote. Files that are no
// DICOM (README, DICOMDIR) are not handed over. A provider that takes multi-frame files apart hands
// over one Instance a frame, whose tags are the frame's (functional groups, per-frame before
// shared, merged into the top level) with NumberOfFrames "1"; one that does not hands over the file
// once, and it is refused with a clear word.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "lunart/geometry.hpp"

namespace lunart::dicom {

using Tag = std::uint32_t;  // 0xggggeeee

// The elements that the rules look at; (0002,0010) is the transfer syntax.
[[nodiscard]] std::span<const Tag> wanted_tags();

struct Instance {
  std::string file;      // for messages
  std::int64_t frame{};  // from 0; for messages
  std::map<Tag, std::string> tags;
};

// What can be chosen: one series, or one of the stacks of slices that a series holds, when it holds
// several that are no one volume (phases, acquisitions, sizes, orientations).
struct Series {
  std::string id;  // what chooses it: the series' UID, or UID#2 for a second stack of it
  std::string series_uid, study_uid;
  std::string description;  // of the series, escaped
  std::string detail;       // how this stack differs from the others of its series
  std::string modality;     // escaped
  std::size_t slices{};
  std::int64_t rows{}, cols{};
  Xyz spacing{};         // mm (x, y, z); 0 where unknown. z is the usual step
  std::string unusable;  // why it is no CT scan; empty for one that can be read
};

// Usable ones first, then by id. Instances without a series UID form a series "".
[[nodiscard]] std::vector<Series> series_of(std::span<const Instance> instances);

// One line a series, for people.
[[nodiscard]] std::string list_text(std::span<const Series> series);

}  // namespace lunart::dicom
