#include "bundle/sha256.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <vector>

#include "lunart/error.hpp"

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

class Hash {
 public:
  void update(std::span<const std::byte> data) {
    length_ += data.size();
    while (!data.empty()) {
      const std::size_t take = std::min(data.size(), block_.size() - filled_);
      std::memcpy(block_.data() + filled_, data.data(), take);
      filled_ += take;
      data = data.subspan(take);
      if (filled_ == block_.size()) compress();
    }
  }

  std::string hex() {
    const std::uint64_t bits = length_ * 8;
    constexpr std::array<std::byte, 1> kOne{std::byte{0x80}};
    constexpr std::array<std::byte, 1> kZero{};
    update(kOne);
    while (filled_ != 56) update(kZero);
    std::array<std::byte, 8> tail{};
    for (std::size_t k = 0; k < 8; ++k) tail[k] = static_cast<std::byte>(bits >> (56 - 8 * k));
    update(tail);
    std::string out;
    for (const std::uint32_t word : state_) {
      for (int shift = 28; shift >= 0; shift -= 4) {
        out += "0123456789abcdef"[(word >> shift) & 0xFU];
      }
    }
    return out;
  }

 private:
  void compress() {
    std::array<std::uint32_t, 64> w{};
    for (std::size_t k = 0; k < 16; ++k) {
      for (std::size_t b = 0; b < 4; ++b) {
        w[k] = w[k] << 8 | std::to_integer<std::uint32_t>(block_[4 * k + b]);
      }
    }
    for (std::size_t k = 16; k < 64; ++k) {
      const std::uint32_t x = w[k - 15];
      const std::uint32_t y = w[k - 2];
      w[k] = w[k - 16] + w[k - 7] + (std::rotr(x, 7) ^ std::rotr(x, 18) ^ x >> 3) +
             (std::rotr(y, 17) ^ std::rotr(y, 19) ^ y >> 10);
    }
    auto [a, b, c, d, e, f, g, h] = state_;
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
    const std::array<std::uint32_t, 8> add{a, b, c, d, e, f, g, h};
    for (std::size_t k = 0; k < 8; ++k) state_[k] += add[k];
    filled_ = 0;
  }

  std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::byte, 64> block_{};
  std::size_t filled_{};
  std::uint64_t length_{};
};

}  // namespace

std::string sha256(std::span<const std::byte> data) {
  Hash hash;
  hash.update(data);
  return hash.hex();
}

std::string sha256_of_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  Hash hash;
  std::vector<char> buffer(1U << 20U);
  while (file) {
    file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    hash.update(std::as_bytes(std::span(buffer.data(), static_cast<std::size_t>(file.gcount()))));
  }
  if (!file.eof()) throw Error(Errc::bundle, path.string() + ": cannot be read");
  return hash.hex();
}

}  // namespace lunart
