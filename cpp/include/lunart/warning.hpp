// Something that a result's reader should know although the run went on.
#pragma once

#include <string>

namespace lunart {

struct Warning {
  std::string code, text;
};

}  // namespace lunart
