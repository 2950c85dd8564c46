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

}  // namespace lunart::cli
