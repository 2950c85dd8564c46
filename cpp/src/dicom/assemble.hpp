// Stored pixels, a slice at a time, become the volume of a plan. Memory: the volume, and two slices
// where slices are interpolated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <variant>

#include "dicom/plan.hpp"
#include "lunart/volume.hpp"

namespace lunart::dicom {

// Pixels as stored (rows, cols), before slope and intercept, unused bits cleared or sign-extended.
using Stored = std::variant<std::span<const std::int8_t>, std::span<const std::uint8_t>,
                            std::span<const std::int16_t>, std::span<const std::uint16_t>,
                            std::span<const std::int32_t>, std::span<const std::uint32_t>>;

class Assembler {
 public:
  // Throws Errc::scan when memory does not suffice.
  explicit Assembler(Plan plan);
  ~Assembler();
  Assembler(Assembler&&) noexcept;
  Assembler& operator=(Assembler&&) noexcept;
  Assembler(const Assembler&) = delete;
  Assembler& operator=(const Assembler&) = delete;

  // The next of Plan::slices. Throws Errc::scan for another number of pixels.
  void append(const Stored& pixels);
  // The next twin of the slice that was appended last. Throws Errc::scan when its HU differ and the
  // request was to refuse such.
  void compare(const Stored& pixels);
  // After all slices.
  [[nodiscard]] Volume finish() &&;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lunart::dicom
