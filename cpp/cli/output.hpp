// Where luna_infer's texts go.
#pragma once

#include <optional>
#include <string>

namespace lunart::cli {

// To standard output. Throws Errc::output.
void print(const std::string& text);

// To a file, or to standard output when it is called "-"; nowhere without a target.
void deliver(const std::optional<std::string>& target, const std::string& text);

}  // namespace lunart::cli
