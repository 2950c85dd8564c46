// One stored result, from its text.
#pragma once

#include <string_view>

#include "lunart/result.hpp"

namespace lunart {

// Throws Errc::data naming the key and the value when the text is no lunart.result/2 or contradicts
// itself.
[[nodiscard]] Result parse_result(std::string_view text);

}  // namespace lunart
