#include "io/hu_buffer.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "lunart/error.hpp"

namespace lunart {
namespace {

// Not a vector: its pages stay untouched until voxels arrive, and large ones are asked for, because
// taking a scan's memory page by page costs as much as reading it.
std::shared_ptr<void> allocated(std::size_t bytes, const std::string& source) {
  // The kernel promises more than it has; what cannot fit must not end the process later.
  const auto machine = static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) *
                       static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  constexpr std::size_t kLargePage = std::size_t{2} << 20U;
  void* memory = nullptr;
  if (bytes < machine && bytes >= 2 * kLargePage) {
    if (posix_memalign(&memory, kLargePage, bytes) != 0) memory = nullptr;
    // Whole pages only; where the kernel has none, nothing is lost.
    if (memory != nullptr) madvise(memory, bytes / kLargePage * kLargePage, MADV_HUGEPAGE);
  } else if (bytes < machine) {
    memory = std::malloc(bytes);
  }
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

std::span<std::int16_t> HuBuffer::append_shorts(std::size_t n) {
  const std::span<std::int16_t> room(shorts() + size_, n);
  size_ += n;
  return room;
}

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
