#include "engines/instruction_set.hpp"

#include <algorithm>
#include <iterator>
#include <sstream>

namespace lunart {
namespace {

struct Extension {
  const char* name;
  bool here;
};

#if defined(__x86_64__)
// __builtin_cpu_supports also asks whether the operating system saves the registers.
bool has(const std::string& name) {
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                  __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                  __builtin_cpu_supports("popcnt");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  const Extension known[] = {
      {"x86-64-v3", v3},
      {"x86-64-v4", v4},
      {"avx512bf16", __builtin_cpu_supports("avx512bf16") != 0},
      {"avx512vnni", __builtin_cpu_supports("avx512vnni") != 0},
  };
  const auto found =
      std::ranges::find_if(known, [&](const Extension& e) { return e.name == name; });
  return found != std::end(known) && found->here;
}
#else
bool has(const std::string&) {
  return false;
}
#endif

}  // namespace

std::string missing_instructions(const std::string& wanted) {
  std::string missing;
  std::istringstream words(wanted);
  for (std::string word; words >> word;) {
    if (!has(word)) missing += (missing.empty() ? "" : " ") + word;
  }
  return missing;
}

}  // namespace lunart
