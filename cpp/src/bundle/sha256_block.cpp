#include "bundle/sha256_block.hpp"

#include <bit>

#ifdef __x86_64__
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace lunart {
namespace {

constexpr std::array<std::uint32_t, 64> kRound{
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

#ifdef __x86_64__

bool has_instructions() noexcept {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_SSE4_1) == 0 || (c & bit_SSSE3) == 0) {
    return false;
  }
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & bit_SHA) != 0;
}

// sha256rnds2 does two rounds on the state as (a, b, e, f) and (c, d, g, h), highest lane first;
// sha256msg1 and sha256msg2 are the two halves of the message schedule.
__attribute__((target("sha,sse4.1,ssse3"))) void with_instructions(Sha256State& state,
                                                                   const std::byte* data,
                                                                   std::size_t blocks) {
  const auto load = [](const auto* from) __attribute__((target("sha,sse4.1,ssse3"))) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  };
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  const __m128i badc = _mm_shuffle_epi32(load(state.data()), 0xB1);
  const __m128i hgfe = _mm_shuffle_epi32(load(state.data() + 4), 0x1B);
  __m128i abef = _mm_alignr_epi8(badc, hgfe, 8);
  __m128i cdgh = _mm_blend_epi16(hgfe, badc, 0xF0);
  for (; blocks > 0; --blocks, data += kSha256Block) {
    const __m128i abef_before = abef;
    const __m128i cdgh_before = cdgh;
    __m128i w[4];  // 16 words of the schedule, four at a time
    for (std::size_t k = 0; k < 4; ++k) w[k] = _mm_shuffle_epi8(load(data + 16 * k), big_endian);
#pragma GCC unroll 16
    for (std::size_t k = 0; k < 16; ++k) {
      const __m128i now = w[k % 4];
      const __m128i sum = _mm_add_epi32(now, load(kRound.data() + 4 * k));
      cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
      abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0E));
      if (k >= 12) continue;
      const __m128i last = w[(k + 3) % 4];
      const __m128i middle = _mm_alignr_epi8(last, w[(k + 2) % 4], 4);
      w[k % 4] = _mm_sha256msg2_epu32(
          _mm_add_epi32(_mm_sha256msg1_epu32(now, w[(k + 1) % 4]), middle), last);
    }
    abef = _mm_add_epi32(abef, abef_before);
    cdgh = _mm_add_epi32(cdgh, cdgh_before);
  }
  const __m128i feba = _mm_shuffle_epi32(abef, 0x1B);
  const __m128i dchg = _mm_shuffle_epi32(cdgh, 0xB1);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(state.data()), _mm_blend_epi16(feba, dchg, 0xF0));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(state.data() + 4), _mm_alignr_epi8(dchg, feba, 8));
}

#endif

}  // namespace

void sha256_blocks_anywhere(Sha256State& state, const std::byte* data, std::size_t blocks) {
  for (; blocks > 0; --blocks, data += kSha256Block) {
    std::array<std::uint32_t, 64> w{};
    for (std::size_t k = 0; k < 16; ++k) {
      for (std::size_t b = 0; b < 4; ++b) {
        w[k] = w[k] << 8 | std::to_integer<std::uint32_t>(data[4 * k + b]);
      }
    }
    for (std::size_t k = 16; k < 64; ++k) {
      const std::uint32_t x = w[k - 15];
      const std::uint32_t y = w[k - 2];
      w[k] = w[k - 16] + w[k - 7] + (std::rotr(x, 7) ^ std::rotr(x, 18) ^ x >> 3) +
             (std::rotr(y, 17) ^ std::rotr(y, 19) ^ y >> 10);
    }
    auto [a, b, c, d, e, f, g, h] = state;
    for (std::size_t k = 0; k < 64; ++k) {
      const std::uint32_t t1 = h + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) +
                               ((e & f) ^ (~e & g)) + kRound[k] + w[k];
      const std::uint32_t t2 =
          (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      h = g;
      g = f;
      f = e;
      e = d + t1;
      d = c;
      c = b;
      b = a;
      a = t1 + t2;
    }
    const Sha256State add{a, b, c, d, e, f, g, h};
    for (std::size_t k = 0; k < 8; ++k) state[k] += add[k];
  }
}

Sha256Blocks sha256_blocks() noexcept {
#ifdef __x86_64__
  static const bool has = has_instructions();
  if (has) return with_instructions;
#endif
  return sha256_blocks_anywhere;
}

}  // namespace lunart
