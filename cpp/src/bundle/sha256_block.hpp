// The inner function of SHA-256, and its form in the instructions that most processors have for it:
// every file of a bundle is hashed before it is used.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace lunart {

using Sha256State = std::array<std::uint32_t, 8>;

inline constexpr std::size_t kSha256Block = 64;  // bytes

using Sha256Blocks = void (*)(Sha256State& state, const std::byte* data, std::size_t blocks);

// Plain C++.
void sha256_blocks_anywhere(Sha256State& state, const std::byte* data, std::size_t blocks);
// The fastest that this processor has.
[[nodiscard]] Sha256Blocks sha256_blocks() noexcept;

}  // namespace lunart
