// The choices for a DICOM series, as Python names them.
#pragma once

#include <string>
#include <utility>

#include "io/text.hpp"
#include "lunart/error.hpp"
#include "lunart/read_options.hpp"

namespace lunart {

// `mend` is the word for the other choice than to refuse.
template <class Choice>
[[nodiscard]] Choice choice_of(const char* name, const std::string& value,
                               const std::pair<const char*, Choice>& mend) {
  if (value == "refuse") return Choice::refuse;
  if (value == mend.first) return mend.second;
  throw Error(Errc::usage,
              std::string(name) + " is " + in_quotes(value) + "; expected refuse or " + mend.first);
}

// Throws Errc::usage.
[[nodiscard]] inline ReadOptions read_options_of(const std::string& series,
                                                 const std::string& on_gap,
                                                 const std::string& on_tilt,
                                                 const std::string& on_duplicate) {
  return {.series = series,
          .on_gap = choice_of("on_gap", on_gap, std::pair{"fill", OnGap::fill}),
          .on_tilt = choice_of("on_tilt", on_tilt, std::pair{"resample", OnTilt::resample}),
          .on_duplicate =
              choice_of("on_duplicate", on_duplicate, std::pair{"first", OnDuplicate::first})};
}

}  // namespace lunart
