#include "bundle/sha256.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <fstream>
#include <vector>

#include "lunart/error.hpp"

namespace lunart {
namespace {

class Hash {
 public:
  explicit Hash(Sha256Blocks blocks) : blocks_(blocks) {}

  void update(std::span<const std::byte> data) {
    length_ += data.size();
    if (filled_ > 0) {
      const std::size_t take = std::min(data.size(), block_.size() - filled_);
      std::ranges::copy(data.first(take), block_.begin() + static_cast<std::ptrdiff_t>(filled_));
      filled_ += take;
      data = data.subspan(take);
      if (filled_ < block_.size()) return;
      blocks_(state_, block_.data(), 1);
    }
    blocks_(state_, data.data(), data.size() / block_.size());
    data = data.last(data.size() % block_.size());
    std::ranges::copy(data, block_.begin());
    filled_ = data.size();
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
  Sha256Blocks blocks_;
  Sha256State state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                     0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::byte, kSha256Block> block_{};
  std::size_t filled_{};
  std::uint64_t length_{};
};

}  // namespace

std::string sha256(std::span<const std::byte> data, Sha256Blocks blocks) {
  Hash hash(blocks);
  hash.update(data);
  return hash.hex();
}

std::string sha256_of_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  Hash hash(sha256_blocks());
  std::vector<char> buffer(1U << 20U);
  while (file) {
    file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    hash.update(std::as_bytes(std::span(buffer.data(), static_cast<std::size_t>(file.gcount()))));
  }
  if (!file.eof()) throw Error(Errc::bundle, path.string() + ": cannot be read");
  return hash.hex();
}

}  // namespace lunart
