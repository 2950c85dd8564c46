#include "io/hu_buffer.hpp"

#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "lunart/error.hpp"

namespace lunart {
namespace {

// malloc, not a vector: its pages stay untouched until voxels arrive.
std::shared_ptr<void> allocated(std::size_t bytes, const std::string& source) {
  // The kernel promises more than it has; what cannot fit must not end the process later.
  const auto machine = static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) *
                       static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  void* const memory = bytes < machine ? std::malloc(bytes) : nullptr;
  if (memory == nullptr) {
    throw Error(Errc::scan, source + ": its voxels need " + std::to_string(bytes / 1'000'000 + 1) +
                                " MB of memory, which this machine does not give");
  }
  return {memory, std::free};
}

}  // namespace

HuBuffer::HuBuffer(std::size_t voxels, std::string source)
    : capacity_(voxels),
      source_(std::move(source)),
      storage_(allocated(voxels * sizeof(std::int16_t), source_)) {}

void HuBuffer::become_float() {
  const std::shared_ptr<void> memory = allocated(capacity_ * sizeof(float), source_);
  auto* const to = static_cast<float*>(memory.get());
  for (std::size_t i = 0; i < size_; ++i) to[i] = shorts()[i];
  storage_ = memory;
  is_float_ = true;
}

std::variant<std::span<const std::int16_t>, std::span<const float>> HuBuffer::hu() const {
  if (is_float_) return std::span<const float>(floats(), size_);
  return std::span<const std::int16_t>(shorts(), size_);
}

}  // namespace lunart
