// A DICOM file's elements, read by ourselves: GDCM's reader asks for as much memory as a length
// says, fills up with zeros what a cut file lacks, and ends the program (assert) over some damaged
// ones. It only decodes pictures.
#pragma once

#include <array>
#include <cstdint>
#include <istream>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace lunart {

// As stored; at most the first 4096 bytes. Of a sequence "sequence", of one without items "".
struct DicomValue {
  std::array<char, 2> vr{};  // zeros in implicit encoding
  std::string bytes;
};
using DicomValues = std::map<std::uint32_t, DicomValue>;

struct DicomFragment {
  std::uint64_t at{};
  std::uint32_t length{};
};

struct DicomLayout {
  std::string syntax;             // transfer syntax UID; empty in a file without meta information
  std::string media_class;        // MediaStorageSOPClassUID, likewise
  std::uint64_t pixels_at{};      // of the first byte of PixelData's value; 0 without
  std::uint32_t pixels_length{};  // kUndefinedLength: fragments
  std::vector<DicomFragment> fragments;  // of PixelData, its offset table first
  bool is_big_endian{};
  DicomValues values;               // those wanted, of the data set
  DicomValues shared;               // of the functional groups of all frames, flat
  std::vector<DicomValues> frames;  // of each frame's
};

inline constexpr std::uint32_t kUndefinedLength = 0xFFFFFFFF;

// What begins as a DICOM file does, or nothing: with DICM after a preamble, or with an element.
[[nodiscard]] bool begins_as_dicom(std::istream& stream);

// A copy of the stream when its data set is deflated, inflated within bounds; else nothing. Throws
// Errc::scan.
[[nodiscard]] std::unique_ptr<std::istream> inflated_copy(std::istream& stream,
                                                          const std::string& name);

// The `wanted` elements and where the pixels are. Every element up to PixelData's value lies inside
// the stream; with WalkTo::end that value too. Throws Errc::scan, beginning with `name`.
enum class WalkTo { pixels, end };
[[nodiscard]] DicomLayout walk_dicom(std::istream& stream, const std::string& name, WalkTo to,
                                     std::span<const std::uint32_t> wanted);

}  // namespace lunart
