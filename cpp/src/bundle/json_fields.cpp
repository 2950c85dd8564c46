#include "bundle/json_fields.hpp"

#include <algorithm>

namespace lunart {
namespace {

bool is_flat(const Json& value, int depth) {
  if (!value.is_structured()) return true;
  return depth > 0 &&
         std::ranges::all_of(value, [depth](const Json& part) { return is_flat(part, depth - 1); });
}

}  // namespace

void refuse(const std::string& what) {
  throw Error(Errc::bundle, what);
}

std::string quoted(const Json& value) {
  constexpr int kDepth = 8;
  return is_flat(value, kDepth) ? value.dump() : value.type_name();
}

const Json& member_of(const Json& at, const char* key) {
  if (!at.is_object()) {
    refuse(quoted(at) + " stands where an object with " + key + " is expected");
  }
  const auto found = at.find(key);
  if (found == at.end()) {
    refuse(std::string(key) +
           " is missing: the bundle was made by an older lunart, or changed since; export it again "
           "with luna-export");
  }
  return *found;
}

const Json& object_in(const Json& at, const char* key) {
  const Json& value = member_of(at, key);
  if (!value.is_object()) refuse(std::string(key) + " is no object: " + quoted(value));
  return value;
}

const Json& list_in(const Json& at, const char* key) {
  const Json& value = member_of(at, key);
  if (!value.is_array()) refuse(std::string(key) + " is no list: " + quoted(value));
  return value;
}

double number_in(const Json& at, const char* key, double low, double high) {
  const auto value = value_in<double>(at, key);
  if (!(value >= low && value <= high)) {
    refuse(std::string(key) + " is " + Json(value).dump() + "; expected " + Json(low).dump() +
           " to " + Json(high).dump());
  }
  return value;
}

int integer_in(const Json& at, const char* key, int low, int high) {
  const Json& value = member_of(at, key);
  if (!value.is_number_integer()) refuse(std::string(key) + " is no integer: " + quoted(value));
  return static_cast<int>(number_in(at, key, low, high));
}

}  // namespace lunart
