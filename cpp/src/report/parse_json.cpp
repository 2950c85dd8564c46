#include "report/parse_json.hpp"

#include <algorithm>

#include "io/text.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

constexpr int kDeepest = 8;
constexpr std::size_t kMostValues = std::size_t{1} << 23U;

[[noreturn]] void fail(const std::string& what) {
  throw Error(Errc::data, what);
}

}  // namespace

void JsonField::refuse(const std::string& expected) const {
  const std::string value = value_.is_structured() ? (value_.is_array() ? "a list" : "an object")
                            : value_.is_string()   ? in_quotes(value_.get_ref<const std::string&>())
                                                   : value_.dump();
  fail(name_ + " is " + value + "; expected " + expected);
}

JsonField JsonField::operator[](const char* key) const {
  if (!value_.is_object()) refuse("an object");
  const std::string name = name_.empty() ? key : name_ + "." + key;
  const auto found = value_.find(key);
  if (found == value_.end()) fail(name + " is missing");
  return {*found, name};
}

JsonField JsonField::operator[](std::size_t k) const {
  return {value_.at(k), name_ + "[" + std::to_string(k) + "]"};
}

bool JsonField::has(const char* key) const {
  return value_.is_object() && value_.contains(key);
}

std::size_t JsonField::size() const {
  if (!value_.is_array()) refuse("a list");
  return value_.size();
}

void JsonField::require_size(std::size_t count) const {
  if (size() == count) return;
  fail(name_ + " has " + std::to_string(size()) + " members; expected " + std::to_string(count));
}

double JsonField::number(double low, double high) const {
  const auto expected = [&] {
    const bool unbounded =
        low == std::numeric_limits<double>::lowest() && high == std::numeric_limits<double>::max();
    return unbounded ? std::string("a number")
                     : "a number from " + text_of(low) +
                           (high == std::numeric_limits<double>::max() ? std::string(" on")
                                                                       : " to " + text_of(high));
  };
  if (!value_.is_number()) refuse(expected());
  const auto number = value_.get<double>();
  if (!(number >= low && number <= high)) refuse(expected());
  return number;
}

double JsonField::positive(double high) const {
  const double value = number(0, high);
  if (value == 0) refuse("a number above 0");
  return value;
}

std::uint64_t JsonField::whole(std::uint64_t low, std::uint64_t high) const {
  const bool in_range = value_.is_number_unsigned() && value_.get<std::uint64_t>() >= low &&
                        value_.get<std::uint64_t>() <= high;
  if (!in_range) {
    refuse("a whole number from " + std::to_string(low) + " to " + std::to_string(high));
  }
  return value_.get<std::uint64_t>();
}

std::string JsonField::text() const {
  if (!value_.is_string() || value_.get_ref<const std::string&>().empty()) {
    refuse("text that is not empty");
  }
  return value_.get<std::string>();
}

std::string JsonField::text_or_empty() const {
  return is_null() ? std::string() : text();
}

std::string JsonField::one_of(std::initializer_list<std::string_view> known) const {
  std::string found = text();
  if (std::ranges::find(known, found) != known.end()) return found;
  std::string names;
  for (const std::string_view name : known)
    names += (names.empty() ? "" : " or ") + std::string(name);
  refuse(names);
}

nlohmann::json parse_bounded(std::string_view text) {
  std::size_t values = 0;
  const auto bound = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    if (depth > kDeepest) {
      fail("is nested deeper than " + std::to_string(kDeepest) + " levels, which no result is");
    }
    if (++values > kMostValues) fail("holds more values than any result");
    return true;
  };
  try {
    return nlohmann::json::parse(text, bound);
  } catch (const nlohmann::json::exception& error) {
    fail("is no JSON: " + printable(error.what()));
  }
}

}  // namespace lunart
