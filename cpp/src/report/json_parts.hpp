// What the JSON of every kind of result has in common.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "lunart/result.hpp"

namespace lunart {

using Json = nlohmann::ordered_json;

inline constexpr std::string_view kResultSchema{"lunart.result/2"};

inline Json text_or_null(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

inline Json json_of(const EngineInfo& e) {
  return {{"name", e.name},
          {"version", e.version},
          {"device", e.device},
          {"precision", e.precision},
          {"threads", e.threads}};
}

inline Json json_of(const std::vector<Warning>& warnings) {
  Json list = Json::array();
  for (const Warning& w : warnings) list.push_back({{"code", w.code}, {"text", w.text}});
  return list;
}

}  // namespace lunart
