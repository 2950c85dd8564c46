// MetaImage's element types, and how their bytes become HU. Sizes are those of metaTypes.h in
// Kitware's MetaIO: MET_LONG has 32 bits everywhere.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "io/hu_buffer.hpp"

namespace lunart {

enum class Element { int8, uint8, int16, uint16, int32, uint32, int64, uint64, float32, float64 };

[[nodiscard]] std::optional<Element> element_of(std::string_view met_name);
[[nodiscard]] std::string element_names();  // all of them, for a message
[[nodiscard]] std::size_t size_of(Element element) noexcept;

// Appends raw.size() / size_of(element) voxels; `swapped`: not in this machine's byte order.
void append_elements(std::span<const std::byte> raw, Element element, bool swapped, HuBuffer& hu);
// What a file's values mean: slope * value + intercept.
struct Scaling {
  double slope{1}, intercept{};
};
// The same, scaled in double; whole numbers stay int16.
void append_scaled_elements(std::span<const std::byte> raw, Element element, bool swapped,
                            const Scaling& scaling, HuBuffer& hu);
// Turns the bytes of every value around.
void swap_bytes(std::span<std::int16_t> values) noexcept;
// Appends numbers that were read from text. Returns the first that is no value of `element` (300
// or 1.5 in MET_UCHAR), at which it stops; nothing when all are.
[[nodiscard]] std::optional<double> append_numbers(std::span<const double> numbers, Element element,
                                                   HuBuffer& hu);

}  // namespace lunart
