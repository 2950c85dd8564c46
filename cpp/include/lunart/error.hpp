// Every error that lunart reports: a kind (with one sentence and one exit code) and a message that
// says what, where, and what to do. Python raises the class of the same name (lunart.errors).
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "lunart/export.hpp"

namespace lunart {

enum class Errc {
  usage,        // an option or argument makes no sense
  scan,         // the scan or picture cannot be read, or is none that the bundle can use
  bundle,       // the bundle is missing, damaged, or of another schema
  engine,       // the engine is not built, not installed, of another version, or failed
  check,        // a check ran and the numbers were wrong
  output,       // a result could not be written
  data,         // a data set or a stored result is incomplete, contradicts itself, or leaks
  interrupted,  // the user or the calling program asked to stop
  internal,     // anything else: a defect of lunart
};

// The program's exit code: 2 usage, 3 scan, 4 bundle, 5 engine, 6 check, 7 output, 8 data,
// 130 interrupted, 1 anything else. lunart.errors holds the same numbers.
[[nodiscard]] constexpr int exit_code(Errc code) noexcept {
  switch (code) {
    case Errc::usage: return 2;
    case Errc::scan: return 3;
    case Errc::bundle: return 4;
    case Errc::engine: return 5;
    case Errc::check: return 6;
    case Errc::output: return 7;
    case Errc::data: return 8;
    case Errc::interrupted: return 130;
    case Errc::internal: return 1;
  }
  return 1;
}

// One sentence for --help and the documentation.
[[nodiscard]] constexpr std::string_view sentence(Errc code) noexcept {
  switch (code) {
    case Errc::usage: return "an option or argument makes no sense";
    case Errc::scan: return "the scan or picture cannot be read or used";
    case Errc::bundle: return "the bundle is missing, damaged or of another schema";
    case Errc::engine: return "the engine is missing, of another version, or failed";
    case Errc::check: return "a check ran and the numbers were wrong";
    case Errc::output: return "a result could not be written";
    case Errc::data: return "a data set is incomplete, contradicts itself, or leaks";
    case Errc::interrupted: return "interrupted";
    case Errc::internal: return "anything else";
  }
  return "anything else";
}

// Inline and header-only: it crosses the boundaries of liblunart.so and of engine modules.
class LUNART_API Error : public std::runtime_error {
 public:
  Error(Errc code, const std::string& message) : std::runtime_error(message), code_(code) {}
  [[nodiscard]] Errc code() const noexcept { return code_; }

 private:
  Errc code_;
};

}  // namespace lunart
