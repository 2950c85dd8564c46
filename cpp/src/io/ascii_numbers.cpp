#include "io/ascii_numbers.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "io/text.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 18U;
constexpr std::size_t kLongestNumber = 400;  // 1e308 written out, and its fraction

bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

}  // namespace

void read_ascii_numbers(const InputFile& file, std::uint64_t offset, std::uint64_t count,
                        const std::function<void(std::span<const double>)>& sink) {
  std::string text;  // what is left of the last chunk (a number cut in two), and the next chunk
  std::vector<double> numbers;
  std::uint64_t found = 0;
  while (offset < file.size()) {
    const std::size_t kept = text.size();
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(kChunk, file.size() - offset));
    text.resize(kept + n);
    file.read(offset, std::as_writable_bytes(std::span(text).subspan(kept)));
    offset += n;
    std::string_view rest = text;
    while (true) {
      const auto begin = std::find_if_not(rest.begin(), rest.end(), is_space);
      const auto end = std::find_if(begin, rest.end(), is_space);
      const std::string_view word(begin, end);
      rest.remove_prefix(static_cast<std::size_t>(begin - rest.begin()));
      const bool is_cut = end == text.data() + text.size() && offset < file.size();
      if (word.empty() || (is_cut && word.size() <= kLongestNumber)) break;
      const auto number = number_of(word);
      if (!number) {
        throw Error(Errc::scan, file.name() + ": voxel " + std::to_string(found) + " reads " +
                                    in_quotes(word) + ", which is not a number");
      }
      if (++found > count) {
        throw Error(Errc::scan, file.name() + ": holds more than the " + std::to_string(count) +
                                    " numbers that DimSize promises");
      }
      numbers.push_back(*number);
      rest.remove_prefix(word.size());
    }
    text = std::string(rest);
    sink(numbers);
    numbers.clear();
  }
  if (found < count) {
    throw Error(Errc::scan, file.name() + ": holds " + std::to_string(found) + " of the " +
                                std::to_string(count) + " numbers that DimSize promises");
  }
}

}  // namespace lunart
