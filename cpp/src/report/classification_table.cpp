// What a person reads on the terminal.
#include <algorithm>
#include <array>
#include <cstdio>

#include "io/text.hpp"
#include "lunart/classifier.hpp"

namespace lunart {

std::string to_table(const Classification& c) {
  constexpr std::size_t kShown = 5;
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.3f s", c.timings_s.total);
  std::string out = (c.path.empty() ? std::string("picture") : shown(c.path)) + "\n" +
                    std::to_string(c.rows) + "x" + std::to_string(c.cols) + " pixels; " +
                    c.engine.name + " " + c.engine.version + ", " + c.engine.precision + ", " +
                    std::to_string(c.engine.threads) + " threads; " + text.data() + "\n";
  for (const Warning& w : c.warnings) out += "warning (" + w.code + "): " + w.text + "\n";
  for (std::size_t k = 0; k < std::min(kShown, c.classes.size()); ++k) {
    std::snprintf(text.data(), text.size(), "%11.3f  ", c.classes[k].probability);
    out += text.data() + printable(c.classes[k].name) + "\n";
  }
  if (c.classes.size() > kShown) {
    out += "and " + std::to_string(c.classes.size() - kShown) + " less probable\n";
  }
  return out;
}

}  // namespace lunart
