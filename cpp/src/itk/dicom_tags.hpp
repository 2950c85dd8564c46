// A DICOM file's tags as the rules of dicom/series.hpp want them.
#pragma once

#include <istream>
#include <string>
#include <vector>

#include "dicom/series.hpp"

namespace lunart {

// One of a plain file, one a frame of an enhanced one; none of a file of another kind and of a
// DICOMDIR. `file` is for messages. Throws Errc::scan for a damaged one.
[[nodiscard]] std::vector<dicom::Instance> read_tags(std::istream& stream, const std::string& file);

}  // namespace lunart
