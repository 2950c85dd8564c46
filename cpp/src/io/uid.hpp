// DICOM unique identifiers (PS3.5, 9.1): digits in components that dots separate, 64 characters at
// most.
#pragma once

#include <string>
#include <string_view>

namespace lunart {

// `text` if it is a UID of at least two components, else "".
[[nodiscard]] inline std::string uid_or_empty(std::string_view text) {
  constexpr std::size_t kLongest = 64;
  if (text.size() > kLongest || text.find('.') == std::string_view::npos) return {};
  char previous = '.';
  for (const char c : text) {
    const bool is_digit = c >= '0' && c <= '9';
    if (!is_digit && (c != '.' || previous == '.')) return {};
    previous = c;
  }
  return previous == '.' ? std::string{} : std::string(text);
}

}  // namespace lunart
