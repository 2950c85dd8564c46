#include "lunart/report.hpp"

namespace lunart {

std::string as_line(const std::string& json) {
  std::string line;
  for (std::size_t k = 0; k < json.size(); ++k) {
    if (json[k] != '\n') {
      line += json[k];
      continue;
    }
    while (k + 1 < json.size() && json[k + 1] == ' ') ++k;  // indentation
  }
  return line;
}

bool wants_lines(const std::string& name) {
  return name.ends_with(".jsonl") || name.ends_with(".ndjson");
}

}  // namespace lunart
