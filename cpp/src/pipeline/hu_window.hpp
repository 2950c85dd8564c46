// What the networks see of a scan's values, and what weighs a centre of mass.
#pragma once

namespace lunart {

struct HuWindow {
  float low{-1000}, high{1000};
};

}  // namespace lunart
