// Small text helpers of the readers and writers: strict numbers, and values made fit to quote in a
// message. Nothing here depends on the locale.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lunart {

// Without blanks, tabs, CR, LF and NUL at both ends.
[[nodiscard]] std::string_view trimmed(std::string_view text);
[[nodiscard]] std::vector<std::string_view> words_of(std::string_view text);
[[nodiscard]] std::string lower(std::string_view text);

// The whole of `text` as a number, or nothing. "nan" and "inf" are numbers.
[[nodiscard]] std::optional<double> number_of(std::string_view text);
[[nodiscard]] std::optional<long long> integer_of(std::string_view text);

// The shortest decimals that read back as the same double.
[[nodiscard]] std::string text_of(double value);
[[nodiscard]] std::string text_of(std::span<const double> values);  // (a, b, c)

// In quotes, at most 80 bytes, control characters and broken UTF-8 as \xNN: what a damaged file
// holds must not break the message that describes it.
[[nodiscard]] std::string in_quotes(std::string_view text);
[[nodiscard]] std::string printable(std::string_view text);  // the same, whole and without quotes
[[nodiscard]] std::string shown(const std::filesystem::path& path);

}  // namespace lunart
