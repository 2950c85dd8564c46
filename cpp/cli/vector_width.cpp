#include "cli/vector_width.hpp"

#include <cstdlib>
#include <string>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "engines/registry.hpp"

namespace lunart::cli {
namespace {

#if defined(__x86_64__)
bool computes_512_bits_in_halves() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (__get_cpuid(0, &a, &b, &c, &d) == 0) return false;
  if (b != signature_AMD_ebx || d != signature_AMD_edx || c != signature_AMD_ecx) return false;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0) return false;
  const unsigned family = ((a >> 8) & 0xF) + ((a >> 20) & 0xFF);
  constexpr unsigned kZen3And4 = 0x19;
  return family == kZen3And4 && __builtin_cpu_supports("avx512f") != 0;
}
#else
bool computes_512_bits_in_halves() {
  return false;
}
#endif

bool openvino_will_run(const std::string& engine) {
  const std::string wanted = wanted_engine(engine);
  return wanted == "auto" || wanted == "openvino";
}

}  // namespace

void choose_vector_width(const Options& options) {
  const bool infers = options.task == Task::infer && options.runner.precision == Precision::f32;
  if (!infers || !openvino_will_run(options.runner.engine)) return;
  if (computes_512_bits_in_halves()) setenv("ONEDNN_MAX_CPU_ISA", "AVX2", 0);
}

}  // namespace lunart::cli
