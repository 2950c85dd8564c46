// Opens liblunart_itk.so, the only thing of ours that links ITK and GDCM.
#pragma once

#include <string>

#include "itk/scan_reader.hpp"

namespace lunart {

// `name` and `format` are for the message: the scan that needs the module, and why. Throws
// Errc::scan saying how to get the module, when it is not there or does not load.
[[nodiscard]] const ScanReader& open_itk_module(const std::string& name, const std::string& format);

}  // namespace lunart
