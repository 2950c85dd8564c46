// The voxels of a scan while it is read: int16 as long as every value fits exactly, float from the
// first that does not. Memory is asked for once and only touched as voxels arrive, so that the peak
// is the result's size (and half as much again in a scan whose last slice is the first with
// fractions).
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <variant>

namespace lunart {

class HuBuffer {
 public:
  // Room for `voxels`. Throws Errc::scan, beginning with `source`, when memory does not suffice.
  HuBuffer(std::size_t voxels, std::string source);

  // Appends value(0) ... value(n - 1), numbers of one type. Together no more than `voxels`.
  template <class Value>
  void append(std::size_t n, const Value& value);

  // Appends n voxels that the caller writes, before anything else is appended. Not after a value
  // that int16 cannot hold.
  [[nodiscard]] std::span<std::int16_t> append_shorts(std::size_t n);

  // Values that are NaN, infinite or beyond a float, and where the first one is.
  [[nodiscard]] std::size_t not_finite() const noexcept { return not_finite_; }
  [[nodiscard]] std::size_t first_not_finite() const noexcept { return first_not_finite_; }

  // What was appended, and what owns it.
  [[nodiscard]] std::variant<std::span<const std::int16_t>, std::span<const float>> hu() const;
  [[nodiscard]] std::shared_ptr<const void> storage() const { return storage_; }

 private:
  void become_float();
  std::int16_t* shorts() const { return static_cast<std::int16_t*>(storage_.get()); }
  float* floats() const { return static_cast<float*>(storage_.get()); }

  // Whether int16 can hold it. NaN and infinity count as 0: they are refused in the end.
  template <class T>
  static bool fits(T value) {
    constexpr auto kLimits = std::numeric_limits<std::int16_t>{};
    if constexpr (std::is_floating_point_v<T>) {
      return value >= T{kLimits.min()} && value <= T{kLimits.max()} && value == std::trunc(value);
    } else if constexpr (std::is_signed_v<T> && sizeof(T) > 2) {
      return value >= T{kLimits.min()} && value <= T{kLimits.max()};
    } else if constexpr (std::is_unsigned_v<T> && sizeof(T) >= 2) {
      return value <= static_cast<T>(kLimits.max());
    } else {
      return true;
    }
  }

  template <class T>
  static bool is_finite(T value) {
    if constexpr (std::is_floating_point_v<T>) {
      return std::abs(value) <= T{std::numeric_limits<float>::max()};
    } else {
      return true;
    }
  }

  std::size_t capacity_;
  std::string source_;
  std::shared_ptr<void> storage_;
  std::size_t size_{};
  bool is_float_{};
  std::size_t not_finite_{};
  std::size_t first_not_finite_{};
};

template <class Value>
void HuBuffer::append(std::size_t n, const Value& value) {
  using T = std::decay_t<decltype(value(0))>;
  const auto finite = [&](std::size_t i) {
    const T v = value(i);
    if (is_finite(v)) return v;
    if (not_finite_++ == 0) first_not_finite_ = size_ + i;
    return T{};
  };
  std::size_t i = 0;
  while (!is_float_ && i < n) {
    std::int16_t* const to = shorts() + size_;
    for (; i < n; ++i) {
      const T v = value(i);
      if (!fits(v)) break;
      to[i] = static_cast<std::int16_t>(v);
    }
    if (i == n) break;
    if (is_finite(value(i))) {
      size_ += i;  // what was written so far is carried over
      become_float();
      size_ -= i;
    } else {
      to[i] = static_cast<std::int16_t>(finite(i));
      ++i;
    }
  }
  if (is_float_) {
    float* const to = floats() + size_;
    for (; i < n; ++i) to[i] = static_cast<float>(finite(i));
  }
  size_ += n;
}

}  // namespace lunart
