// Whether this processor has the instructions that native code was compiled for: without them it
// would be killed in the middle of a scan.
#pragma once

#include <string>

namespace lunart {

// Words in the compiler's spelling, with spaces between: a level (x86-64-v3, x86-64-v4) and
// extensions (avx512vnni). Returns those that this processor has not, or that are not known here.
[[nodiscard]] std::string missing_instructions(const std::string& wanted);

}  // namespace lunart
