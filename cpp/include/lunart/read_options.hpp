// Which scan of a DICOM folder or zip is read, and what happens when it is no even stack of slices.
// Every default refuses and names the slices; the other value mends the scan, which then carries a
// warning that says what was done.
#pragma once

#include <string>

namespace lunart {

enum class OnGap { refuse, fill };         // missing slices, uneven spacing: interpolate linearly
enum class OnTilt { refuse, resample };    // a tilted gantry: shift each slice, linearly
enum class OnDuplicate { refuse, first };  // different slices at one place: lowest instance number

struct ReadOptions {
  std::string series{};  // its UID as a list of series shows it; empty when there is only one
  OnGap on_gap{OnGap::refuse};
  OnTilt on_tilt{OnTilt::refuse};
  OnDuplicate on_duplicate{OnDuplicate::refuse};
  friend bool operator==(const ReadOptions&, const ReadOptions&) = default;
};

}  // namespace lunart
