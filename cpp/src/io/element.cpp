#include "io/element.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

namespace lunart {
namespace {

struct Named {
  std::string_view name;
  Element element;
};

constexpr std::array kNames{
    Named{"MET_CHAR", Element::int8},       Named{"MET_UCHAR", Element::uint8},
    Named{"MET_SHORT", Element::int16},     Named{"MET_USHORT", Element::uint16},
    Named{"MET_INT", Element::int32},       Named{"MET_UINT", Element::uint32},
    Named{"MET_LONG", Element::int32},      Named{"MET_ULONG", Element::uint32},
    Named{"MET_LONG_LONG", Element::int64}, Named{"MET_ULONG_LONG", Element::uint64},
    Named{"MET_FLOAT", Element::float32},   Named{"MET_DOUBLE", Element::float64},
};

// Calls `work` with a value of the type that `element` stands for.
template <class Work>
auto with_type(Element element, Work&& work) {
  switch (element) {
    case Element::int8: return work(std::int8_t{});
    case Element::uint8: return work(std::uint8_t{});
    case Element::int16: return work(std::int16_t{});
    case Element::uint16: return work(std::uint16_t{});
    case Element::int32: return work(std::int32_t{});
    case Element::uint32: return work(std::uint32_t{});
    case Element::int64: return work(std::int64_t{});
    case Element::uint64: return work(std::uint64_t{});
    case Element::float32: return work(float{});
    case Element::float64: break;
  }
  return work(double{});
}

template <class T>
T loaded(const std::byte* from, bool swapped) {
  std::array<std::byte, sizeof(T)> bytes;
  std::memcpy(bytes.data(), from, sizeof(T));
  if (swapped) std::reverse(bytes.begin(), bytes.end());
  return std::bit_cast<T>(bytes);
}

template <class T>
bool holds(double number) {
  if constexpr (std::is_floating_point_v<T>) {
    return true;
  } else {
    // max() + 1 is a power of two, which a double holds exactly (2^64 - 1 it does not).
    // NOLINTNEXTLINE(bugprone-integer-division)
    constexpr double kEnd = 2.0 * static_cast<double>(std::numeric_limits<T>::max() / 2 + 1);
    constexpr auto kFirst = static_cast<double>(std::numeric_limits<T>::min());
    return number >= kFirst && number < kEnd && number == std::trunc(number);
  }
}

}  // namespace

std::optional<Element> element_of(std::string_view met_name) {
  for (const Named& known : kNames) {
    if (known.name == met_name) return known.element;
  }
  return std::nullopt;
}

std::string element_names() {
  std::string out;
  for (const Named& known : kNames) {
    if (!out.empty()) out += ", ";
    out += known.name;
  }
  return out;
}

std::size_t size_of(Element element) noexcept {
  return with_type(element, [](auto zero) { return sizeof(zero); });
}

void append_elements(std::span<const std::byte> raw, Element element, bool swapped, HuBuffer& hu) {
  with_type(element, [&](auto zero) {
    using T = decltype(zero);
    hu.append(raw.size() / sizeof(T),
              [&](std::size_t i) { return loaded<T>(raw.data() + i * sizeof(T), swapped); });
  });
}

void append_scaled_elements(std::span<const std::byte> raw, Element element, bool swapped,
                            const Scaling& scaling, HuBuffer& hu) {
  with_type(element, [&](auto zero) {
    using T = decltype(zero);
    hu.append(raw.size() / sizeof(T), [&](std::size_t i) {
      const auto value = static_cast<double>(loaded<T>(raw.data() + i * sizeof(T), swapped));
      return scaling.slope * value + scaling.intercept;
    });
  });
}

void swap_bytes(std::span<std::int16_t> values) noexcept {
  for (std::int16_t& value : values) {
    const auto bits = static_cast<std::uint16_t>(value);
    value = static_cast<std::int16_t>(static_cast<std::uint16_t>(bits << 8U | bits >> 8U));
  }
}

std::optional<double> append_numbers(std::span<const double> numbers, Element element,
                                     HuBuffer& hu) {
  const auto valid = with_type(element, [&](auto zero) {
    return std::find_if_not(numbers.begin(), numbers.end(), holds<decltype(zero)>);
  });
  if (valid != numbers.end()) return *valid;
  hu.append(numbers.size(), [&](std::size_t i) { return numbers[i]; });
  return std::nullopt;
}

}  // namespace lunart
