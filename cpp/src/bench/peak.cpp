#include "bench/peak.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <numeric>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lunart {
namespace {

// One loop: `rounds` times `operations` floating-point operations.
struct Loop {
  const char* instructions;
  double operations;  // a round
  float (*run)(std::int64_t rounds);
};

// Independent chains: enough to hide the latency of two units, few enough to stay in registers.
constexpr int kWideChains = 24;   // of 32 registers
constexpr int kChains = 12;       // of 16
constexpr float kKeep = 0.9999F;  // x * kKeep + kAdd stays near 1: no overflow, no denormals
constexpr float kAdd = 1e-4F;

#if defined(__x86_64__)

// Inlined, so that they are compiled for the instructions of the loop that calls them.
template <class Vector, std::size_t n>
[[gnu::always_inline]] inline void begin(Vector (&x)[n]) {
#pragma GCC unroll 24
  for (std::size_t k = 0; k < n; ++k) x[k] = Vector{} + static_cast<float>(k);
}

template <class Vector, std::size_t n>
[[gnu::always_inline]] inline float sum_of(const Vector (&x)[n]) {
  Vector sum = x[0];
#pragma GCC unroll 24
  for (std::size_t k = 1; k < n; ++k) sum += x[k];
  return sum[0] + sum[1];
}

__attribute__((target("avx512f"))) float run_avx512(std::int64_t rounds) {
  const __m512 keep = _mm512_set1_ps(kKeep);
  const __m512 add = _mm512_set1_ps(kAdd);
  __m512 x[kWideChains];
  begin(x);
  for (std::int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 24
    for (int k = 0; k < kWideChains; ++k) x[k] = _mm512_fmadd_ps(x[k], keep, add);
  }
  return sum_of(x);
}

__attribute__((target("avx512f,avx512bf16"))) float run_avx512_bf16(std::int64_t rounds) {
  // Two products a lane are added to a float: four operations.
  const auto ones = (__m512bh)_mm512_set1_epi16(0x3f80);
  const auto tiny = (__m512bh)_mm512_set1_epi16(0x3380);
  __m512 x[kWideChains];
  begin(x);
  for (std::int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 24
    for (int k = 0; k < kWideChains; ++k) x[k] = _mm512_dpbf16_ps(x[k], ones, tiny);
  }
  return sum_of(x);
}

__attribute__((target("avx2,fma"))) float run_avx2(std::int64_t rounds) {
  const __m256 keep = _mm256_set1_ps(kKeep);
  const __m256 add = _mm256_set1_ps(kAdd);
  __m256 x[kChains];
  begin(x);
  for (std::int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (int k = 0; k < kChains; ++k) x[k] = _mm256_fmadd_ps(x[k], keep, add);
  }
  return sum_of(x);
}

#endif

// What the compiler makes of it for any processor.
float run_portable(std::int64_t rounds) {
  std::array<float, std::size_t{4} * kChains> x{};
  for (std::int64_t round = 0; round < rounds; ++round) {
    for (float& value : x) value = value * kKeep + kAdd;
  }
  float sum = 0;
  for (const float value : x) sum += value;
  return sum;
}

std::optional<Loop> loop_of(Precision precision) {
#if defined(__x86_64__)
  if (precision == Precision::bf16) {
    if (__builtin_cpu_supports("avx512bf16") == 0) return std::nullopt;
    return Loop{"avx512_bf16", 4.0 * 16 * kWideChains, run_avx512_bf16};
  }
  if (__builtin_cpu_supports("avx512f") != 0) {
    return Loop{"avx512f", 2.0 * 16 * kWideChains, run_avx512};
  }
  if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0) {
    return Loop{"avx2 fma", 2.0 * 8 * kChains, run_avx2};
  }
#endif
  if (precision == Precision::bf16) return std::nullopt;
  return Loop{"portable", 2.0 * 4 * kChains, run_portable};
}

// The compiler must believe that somebody reads the sums.
std::atomic<float> sink;

double seconds_of(const Loop& loop, std::int64_t rounds) {
  const auto begin = std::chrono::steady_clock::now();
  sink.store(loop.run(rounds), std::memory_order_relaxed);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Operations a second of the fastest of many short runs: short, so that on a busy machine, too,
// one is found that nothing interrupts.
double best_of(const Loop& loop, std::int64_t rounds, double seconds) {
  double fastest = seconds_of(loop, rounds);
  for (double spent = fastest; spent < seconds;) {
    const double run = seconds_of(loop, rounds);
    fastest = std::min(fastest, run);
    spent += run;
  }
  return loop.operations * static_cast<double>(rounds) / fastest;
}

}  // namespace

std::optional<Peak> measure_peak(Precision precision, int threads, double seconds) {
  const std::optional<Loop> loop = loop_of(precision);
  if (!loop) return std::nullopt;
  std::int64_t rounds = 1 << 12;
  while (seconds_of(*loop, rounds) < 2e-3) rounds *= 2;
  std::vector<double> rates(static_cast<std::size_t>(threads));
  {
    std::vector<std::jthread> all;
    for (double& rate : rates) {
      all.emplace_back([&] { rate = best_of(*loop, rounds, seconds); });
    }
  }
  const double sum = std::accumulate(rates.begin(), rates.end(), 0.0);
  return Peak{sum * 1e-9, loop->instructions};
}

}  // namespace lunart
