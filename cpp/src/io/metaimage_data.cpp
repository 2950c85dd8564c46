#include "io/metaimage_data.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <system_error>

#include "io/text.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const MetaImageHeader& header, const std::string& what) {
  throw Error(Errc::scan, header.name + ": " + what);
}

bool is_inside(const fs::path& file, const fs::path& folder) {
  return std::mismatch(folder.begin(), folder.end(), file.begin(), file.end()).first ==
         folder.end();
}

// `name` inside the header's folder, also after symbolic links are followed; with ".gz" when only
// that exists, as MetaIO does.
DataPart resolved(const MetaImageHeader& header, const std::string& name, std::size_t voxels) {
  const auto refuse = [&](const std::string& why) {
    fail(header, "its data file " + in_quotes(name) + " " + why);
  };
  const fs::path given(name);
  if (name.find('\0') != std::string::npos) refuse("is no file name");
  if (given.is_absolute() || given.lexically_normal().begin()->string() == "..") {
    refuse("is outside the header's folder: put it beside the header");
  }
  std::error_code error;
  const fs::path parent = header.path.parent_path();
  const fs::path folder = fs::canonical(parent.empty() ? fs::path(".") : parent, error);
  if (error) fail(header, "its folder cannot be read: " + error.message());

  bool is_gzip = false;
  fs::path found = fs::canonical(folder / given, error);
  if (error == std::errc::no_such_file_or_directory) {
    found = fs::canonical(folder / (name + ".gz"), error);
    is_gzip = !error;
  }
  if (error) refuse("cannot be found beside the header: " + error.message());
  // A header that is itself a link may bring along data from its real folder: both are the same
  // sender's, and so workflow engines hand over their inputs.
  const fs::path real_folder = fs::canonical(header.path, error).parent_path();
  if (!is_inside(found, folder) && (error || !is_inside(found, real_folder))) {
    refuse("leads outside the header's folder, to " + shown(found));
  }
  return {.path = found,
          .first_byte = 0,
          .voxels = voxels,
          .is_compressed = header.is_compressed || is_gzip};
}

std::vector<DataPart> listed_parts(const MetaImageHeader& header, std::int64_t dimensions) {
  const IrcIndex& shape = header.geometry.shape;
  const auto per_file = static_cast<std::size_t>(dimensions == 2   ? shape.col * shape.row
                                                 : dimensions == 1 ? shape.col
                                                                   : 0);
  if (per_file == 0) {
    fail(header, "ElementDataFile = " + in_quotes(header.data_file) + ": LIST takes 1 or 2");
  }
  std::vector<DataPart> parts;
  const std::size_t files = header.geometry.voxel_count() / per_file;
  std::vector<std::string> names = header.lines_after;
  std::erase(names, "");
  if (names.size() != files) {
    fail(header, "lists " + std::to_string(names.size()) + " data files where DimSize needs " +
                     std::to_string(files));
  }
  for (const std::string& name : names) parts.push_back(resolved(header, name, per_file));
  return parts;
}

// A printf pattern with exactly one %d, such as slice%03d.raw.
class NamePattern {
 public:
  NamePattern(const MetaImageHeader& header, std::string_view pattern) {
    const std::size_t percent = pattern.find('%');
    const std::size_t end =
        std::min(pattern.find_first_not_of("0123456789", percent + 1), pattern.size() - 1);
    const std::string_view width = pattern.substr(percent + 1, end - percent - 1);
    const auto digits = width.empty() ? 0 : integer_of(width).value_or(-1);
    constexpr long long kWidest = 20;
    if ((pattern[end] != 'd' && pattern[end] != 'i' && pattern[end] != 'u') || digits < 0 ||
        digits > kWidest || pattern.find('%', end) != std::string_view::npos) {
      fail(header, "ElementDataFile: " + in_quotes(pattern) +
                       " is no pattern with one number, such as slice%03d.raw");
    }
    before_ = pattern.substr(0, percent);
    after_ = pattern.substr(end + 1);
    width_ = static_cast<std::size_t>(digits);
    fill_ = width.starts_with('0') ? '0' : ' ';
  }

  [[nodiscard]] std::string name(long long number) const {
    std::string digits = std::to_string(number);
    if (digits.size() < width_) digits.insert(0, width_ - digits.size(), fill_);
    return before_ + digits + after_;
  }

 private:
  std::string before_, after_;
  std::size_t width_{};
  char fill_{};
};

// "name%d.raw first last step", the numbers optional, the name with or without spaces.
std::vector<DataPart> pattern_parts(const MetaImageHeader& header) {
  const long long slices = header.geometry.shape.index;
  std::string_view pattern = header.data_file;
  constexpr long long kLargest = 1'000'000'000;
  std::vector<long long> numbers;
  while (numbers.size() < 3) {
    const std::size_t space = pattern.find_last_of(" \t");
    if (space == std::string_view::npos) break;
    const auto number = integer_of(pattern.substr(space + 1));
    if (!number) break;
    if (*number < 0 || *number > kLargest) {
      fail(header, "ElementDataFile = " + in_quotes(header.data_file) + ": " +
                       std::to_string(*number) + " numbers no slice");
    }
    numbers.insert(numbers.begin(), *number);
    pattern = trimmed(pattern.substr(0, space));
  }
  const long long first = numbers.empty() ? 1 : numbers[0];
  const long long last = numbers.size() < 2 ? first + slices - 1 : numbers[1];
  // Without a step MetaIO divides by the number of slices, not of gaps, which is 0 for "1 4" and
  // four slices (SimpleITK crashes); a range that counts every slice once means 1.
  const long long span = last - first;
  const long long step = numbers.size() == 3 ? numbers[2] : span == slices - 1 ? 1 : span / slices;
  if (last > kLargest || step < 1 || span < 0 || span / step + 1 < slices) {
    fail(header, "ElementDataFile = " + in_quotes(header.data_file) + " does not name the " +
                     std::to_string(slices) + " slices that DimSize needs");
  }
  const NamePattern names(header, pattern);
  std::vector<DataPart> parts;
  const std::size_t per_file = header.geometry.voxel_count() / static_cast<std::size_t>(slices);
  for (long long i = 0; i < slices; ++i) {
    parts.push_back(resolved(header, names.name(first + i * step), per_file));
  }
  return parts;
}

}  // namespace

std::vector<DataPart> data_parts(const MetaImageHeader& header) {
  const std::size_t voxels = header.geometry.voxel_count();
  const std::string& name = header.data_file;
  if (name.empty()) fail(header, "ElementDataFile is empty");
  if (lower(name) == "local") {
    return {{.path = header.path,
             .first_byte = header.data_offset,
             .voxels = voxels,
             .is_compressed = header.is_compressed}};
  }
  const auto words = words_of(name);
  if (words[0] == "LIST" && words.size() <= 2) {
    const auto dimensions = words.size() == 2 ? integer_of(words[1]).value_or(0) : 2;
    return listed_parts(header, dimensions);
  }
  if (name.find('%') != std::string::npos) return pattern_parts(header);
  return {resolved(header, name, voxels)};
}

}  // namespace lunart
