// What can be wrong with a shared library's file that the dynamic loader does not survive.
#pragma once

#include <filesystem>

namespace lunart {

// Whether an ELF file ends before what its own header says must be loaded, as after a download that
// broke off: the loader would touch pages that are not there, and the kernel end the program.
[[nodiscard]] bool is_cut_off(const std::filesystem::path& library);

}  // namespace lunart
