// Typed access to a manifest's fields. What is wrong is thrown as Errc::bundle naming the key; the
// file is named by parse_manifest.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "lunart/error.hpp"

namespace lunart {

using Json = nlohmann::json;

[[noreturn]] void refuse(const std::string& what);

// For a message: the value itself, but only its kind where it is nested deeply enough to exhaust
// the stack of whoever prints it.
[[nodiscard]] std::string quoted(const Json& value);

// A key that lunart reads is missing where an older lunart wrote the bundle.
[[nodiscard]] const Json& member_of(const Json& at, const char* key);
[[nodiscard]] const Json& object_in(const Json& at, const char* key);
[[nodiscard]] const Json& list_in(const Json& at, const char* key);
[[nodiscard]] double number_in(const Json& at, const char* key, double low, double high);
[[nodiscard]] int integer_in(const Json& at, const char* key, int low, int high);

template <class T>
[[nodiscard]] T value_in(const Json& at, const char* key) {
  const Json& value = member_of(at, key);
  try {
    return value.get<T>();
  } catch (const Json::exception& error) {
    refuse(std::string(key) + ": " + error.what());
  }
}

}  // namespace lunart
