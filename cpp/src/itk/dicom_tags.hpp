// A DICOM file's tags as the rules of dicom/series.hpp want them, by GDCM.
#pragma once

#include <istream>
#include <optional>
#include <string>

#include "dicom/series.hpp"

namespace lunart {

// Nothing for a file of another kind, and for a DICOMDIR. `file` is for messages. Throws Errc::scan
// for a damaged one.
[[nodiscard]] std::optional<dicom::Instance> read_tags(std::istream& stream,
                                                       const std::string& file);

// GDCM writes to standard error unless it is told not to.
void silence_gdcm();

}  // namespace lunart
