#include "cli/output.hpp"

#include <cstdio>

#include "io/atomic_file.hpp"
#include "lunart/error.hpp"

namespace lunart::cli {

void print(const std::string& text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (!written || std::fflush(stdout) != 0) {
    throw Error(Errc::output, "standard output cannot be written");
  }
}

void deliver(const std::optional<std::string>& target, const std::string& text) {
  if (!target) return;
  if (*target == "-") {
    print(text);
  } else {
    write_file_atomically(*target, text);
  }
}

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

}  // namespace lunart::cli
