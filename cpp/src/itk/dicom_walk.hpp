// A DICOM file's elements are walked over before GDCM reads them: it asks for as much memory as a
// length says, and fills up with zeros what a cut file lacks.
#pragma once

#include <cstdint>
#include <istream>
#include <memory>
#include <optional>
#include <string>

namespace lunart {

struct DicomLayout {
  std::string syntax;             // transfer syntax UID; empty in a file without meta information
  std::string media_class;        // MediaStorageSOPClassUID, likewise
  std::uint64_t pixels_at{};      // of the first byte of PixelData's value; 0 without
  std::uint32_t pixels_length{};  // kUndefinedLength: fragments
  bool is_big_endian{};
};

inline constexpr std::uint32_t kUndefinedLength = 0xFFFFFFFF;

// What begins as a DICOM file does, or nothing: with DICM after a preamble, or with an element.
[[nodiscard]] bool begins_as_dicom(std::istream& stream);

// A copy of the stream when its data set is deflated, inflated within bounds; else nothing. Throws
// Errc::scan.
[[nodiscard]] std::unique_ptr<std::istream> inflated_copy(std::istream& stream,
                                                          const std::string& name);

// Every element up to PixelData's value lies inside the stream; with `whole` that value too. Throws
// Errc::scan, beginning with `name`.
enum class WalkTo { pixels, end };
[[nodiscard]] DicomLayout walk_dicom(std::istream& stream, const std::string& name, WalkTo to);

}  // namespace lunart
