// How a DICOM file begins: with "DICM" after a preamble of anything, or bare, with an element.
#pragma once

#include <cstddef>
#include <string_view>

namespace lunart {

inline constexpr std::size_t kDicomStart = 132;

// `head` holds the first kDicomStart bytes, of a shorter file fewer.
[[nodiscard]] inline bool has_dicom_preamble(std::string_view head) {
  return head.size() == kDicomStart && head.ends_with("DICM");
}

// An element of group 8 or 2, explicit (a VR is two capital letters) or implicit and of fewer than
// 256 bytes.
[[nodiscard]] inline bool begins_with_element(std::string_view head) {
  const bool has_group =
      head.size() == kDicomStart && (head[0] == 8 || head[0] == 2) && head[1] == 0 && head[3] == 0;
  if (!has_group) return false;
  const auto is_capital = [](char c) { return c >= 'A' && c <= 'Z'; };
  return (is_capital(head[4]) && is_capital(head[5])) ||
         (head[5] == 0 && head[6] == 0 && head[7] == 0);
}

}  // namespace lunart
