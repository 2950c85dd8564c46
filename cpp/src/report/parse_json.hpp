// Typed access to what a stored result holds. What is wrong is thrown as Errc::data naming the key
// and the value; read_results adds the file.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace lunart {

// A value of the document and the way to it, for messages: nodules[3].voxels.
class JsonField {
 public:
  using Json = nlohmann::json;

  JsonField(const Json& value, std::string name) : value_(value), name_(std::move(name)) {}

  [[nodiscard]] JsonField operator[](const char* key) const;
  [[nodiscard]] JsonField operator[](std::size_t k) const;
  [[nodiscard]] bool has(const char* key) const;
  [[nodiscard]] std::size_t size() const;  // of a list
  void require_size(std::size_t count) const;

  // Finite, and from low to high.
  [[nodiscard]] double number(double low = std::numeric_limits<double>::lowest(),
                              double high = std::numeric_limits<double>::max()) const;
  [[nodiscard]] double positive(double high) const;
  // At most 2^53, where every reader of JSON is exact.
  [[nodiscard]] std::uint64_t whole(std::uint64_t low = 0,
                                    std::uint64_t high = std::uint64_t{1} << 53U) const;
  [[nodiscard]] std::string text() const;
  [[nodiscard]] std::string text_or_empty() const;  // null is empty
  [[nodiscard]] std::string one_of(std::initializer_list<std::string_view> known) const;
  [[nodiscard]] bool is_null() const { return value_.is_null(); }

  // "`name` is <value>; `expected`"
  [[noreturn]] void refuse(const std::string& expected) const;

 private:
  const Json& value_;
  std::string name_;
};

// Bounded in memory and depth whatever the text is. Throws Errc::data.
[[nodiscard]] nlohmann::json parse_bounded(std::string_view text);

}  // namespace lunart
