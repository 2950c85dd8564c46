// Numbers written as text (MetaImage with BinaryData = False), separated by white space.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "io/input_file.hpp"

namespace lunart {

// Hands exactly `count` numbers to `sink`, some thousands at a time, from `offset` to the file's
// end. Throws Errc::scan: what is not a number, too few or too many numbers.
void read_ascii_numbers(const InputFile& file, std::uint64_t offset, std::uint64_t count,
                        const std::function<void(std::span<const double>)>& sink);

}  // namespace lunart
