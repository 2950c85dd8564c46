// What this processor's arithmetic can do at most: a loop of fused multiply-adds that touches no
// memory and times itself. luna-bench measures the networks against it.
#pragma once

#include <optional>
#include <string>

#include "lunart/runner.hpp"

namespace lunart {

struct Peak {
  double gflops{};
  std::string instructions;  // what the loop is made of: avx512f, avx2 fma, avx512_bf16, ...
};

// `threads` loops side by side for `seconds`; of each the fastest run counts, because another
// program can only make one slower. A multiply-add is two operations. None where the processor has
// no arithmetic of that precision. bf16 is the vector instruction's (vdpbf16ps): a processor with
// matrix tiles (AMX) can do more.
[[nodiscard]] std::optional<Peak> measure_peak(Precision precision, int threads, double seconds);

}  // namespace lunart
