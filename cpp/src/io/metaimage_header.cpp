#include "io/metaimage_header.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <span>
#include <string_view>
#include <utility>

#include "io/input_file.hpp"
#include "io/text.hpp"
#include "io/uid.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

// Far more than any header or list of slices; what is longer is no MetaImage.
constexpr std::uint64_t kLongestHeader = std::uint64_t{1} << 22U;

constexpr std::string_view kSeriesTag = "0020|000e";

constexpr std::array kKeys{
    std::string_view{"ObjectType"},
    std::string_view{"NDims"},
    std::string_view{"DimSize"},
    std::string_view{"ElementType"},
    std::string_view{"ElementNumberOfChannels"},
    std::string_view{"ElementSpacing"},
    std::string_view{"ElementSize"},
    std::string_view{"Offset"},
    std::string_view{"Origin"},
    std::string_view{"Position"},
    std::string_view{"ImagePosition"},
    std::string_view{"TransformMatrix"},
    std::string_view{"Rotation"},
    std::string_view{"Orientation"},
    std::string_view{"BinaryData"},
    std::string_view{"BinaryDataByteOrderMSB"},
    std::string_view{"ElementByteOrderMSB"},
    std::string_view{"CompressedData"},
    std::string_view{"CompressedDataSize"},
    std::string_view{"HeaderSize"},
    std::string_view{"ElementToIntensityFunctionSlope"},
    std::string_view{"ElementToIntensityFunctionOffset"},
    std::string_view{"ElementDataFile"},
    kSeriesTag,
};

struct KeyValue {
  std::string_view key, value;
};

// The keys that mean something to us, with their values; the rest is ignored.
class Fields {
 public:
  explicit Fields(std::string file) : file_(std::move(file)) {}

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(Errc::scan, file_ + ": " + what);
  }
  [[noreturn]] void fail(std::string_view key, const std::string& what) const {
    fail(std::string(key) + " = " + in_quotes(values_.find(key)->second) + " " + what);
  }

  void add(const KeyValue& field) {
    if (std::find(kKeys.begin(), kKeys.end(), field.key) == kKeys.end()) return;
    if (!values_.emplace(field.key, field.value).second) {
      fail("gives " + std::string(field.key) + " twice");
    }
  }

  [[nodiscard]] bool has(std::string_view key) const { return values_.contains(key); }

  [[nodiscard]] const std::string& text(std::string_view key) const {
    const auto found = values_.find(key);
    if (found == values_.end()) {
      fail("has no " + std::string(key) + ", which a MetaImage header needs");
    }
    return found->second;
  }

  [[nodiscard]] std::vector<double> numbers(std::string_view key, std::size_t count) const {
    const auto words = words_of(text(key));
    if (words.size() != count) {
      fail(key, "holds " + std::to_string(words.size()) + " values where " + std::to_string(count) +
                    " are needed");
    }
    std::vector<double> out;
    for (const std::string_view word : words) {
      const auto number = number_of(word);
      if (!number) fail(key, "holds " + in_quotes(word) + ", which is not a number");
      if (!std::isfinite(*number)) fail(key, "holds a number that is not finite");
      out.push_back(*number);
    }
    return out;
  }

  // A whole number; 512.0 is one, as MetaIO has it.
  [[nodiscard]] std::vector<std::int64_t> integers(std::string_view key, std::size_t count) const {
    std::vector<std::int64_t> out;
    for (const double number : numbers(key, count)) {
      constexpr double kExact = 9007199254740992.0;  // 2^53
      if (number != std::trunc(number) || std::abs(number) > kExact) {
        fail(key, "holds a number that is not whole");
      }
      out.push_back(static_cast<std::int64_t>(number));
    }
    return out;
  }
  [[nodiscard]] std::int64_t integer(std::string_view key, std::int64_t otherwise) const {
    return has(key) ? integers(key, 1)[0] : otherwise;
  }

  [[nodiscard]] bool flag(std::string_view key, bool otherwise) const {
    if (!has(key)) return otherwise;
    const std::string value = lower(text(key));
    if (value == "true" || value == "t" || value == "1") return true;
    if (value == "false" || value == "f" || value == "0") return false;
    fail(key, "is neither True nor False");
  }

  // The one of several synonyms that is given; "" when none is. Two that disagree are refused:
  // which one wins depends on the reader.
  [[nodiscard]] std::string_view synonym(std::span<const std::string_view> keys,
                                         std::size_t count) const {
    std::string_view given;
    for (const std::string_view key : keys) {
      if (!has(key)) continue;
      if (!given.empty() && numbers(given, count) != numbers(key, count)) {
        fail(key, "contradicts " + std::string(given) + " = " + in_quotes(text(given)));
      }
      given = key;
    }
    return given;
  }

 private:
  std::string file_;
  std::map<std::string, std::string, std::less<>> values_;
};

// "Key = Value"; MetaIO takes a colon as well. Nothing for a blank line or a comment.
std::optional<KeyValue> parsed_line(std::string_view line, std::size_t number,
                                    const Fields& fields) {
  line = trimmed(line);
  if (line.empty() || line.starts_with('#')) return std::nullopt;
  const std::size_t separator = line.find_first_of("=:");
  if (separator == std::string_view::npos) {
    fields.fail("line " + std::to_string(number) + " reads " + in_quotes(line) +
                ", not 'Key = Value': not a MetaImage header, or damaged");
  }
  return KeyValue{trimmed(line.substr(0, separator)), trimmed(line.substr(separator + 1))};
}

std::string head_of(const InputFile& file) {
  std::string text(static_cast<std::size_t>(std::min(file.size(), kLongestHeader)), '\0');
  file.read(0, std::as_writable_bytes(std::span(text)));
  return text;
}

// Cuts the first line off `text`, with its end.
std::string_view next_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

IrcIndex shape_of(const Fields& fields) {
  const std::int64_t dimensions = fields.integers("NDims", 1)[0];
  if (dimensions != 3) {
    fields.fail("NDims", "is not supported: a scan has 3 dimensions; save one volume as NDims = 3");
  }
  const auto n = fields.integers("DimSize", 3);
  return {.index = n[2], .row = n[1], .col = n[0]};
}

Geometry geometry_of(const Fields& fields, const std::string& name) {
  Geometry g;
  g.shape = shape_of(fields);
  const std::string_view spacing_key = fields.has("ElementSpacing") ? "ElementSpacing"
                                       : fields.has("ElementSize")  ? "ElementSize"
                                                                    : "";
  if (spacing_key.empty()) {
    // MetaIO assumes 1 mm; diameters and volumes would then be silently wrong.
    fields.fail(
        "has no ElementSpacing: without it nothing can be measured in millimetres; add "
        "'ElementSpacing = x y z'");
  }
  const auto spacing = fields.numbers(spacing_key, 3);
  g.spacing = {spacing[0], spacing[1], spacing[2]};

  constexpr std::array<std::string_view, 4> kOrigin{"Offset", "Position", "Origin",
                                                    "ImagePosition"};
  if (const auto key = fields.synonym(kOrigin, 3); !key.empty()) {
    const auto origin = fields.numbers(key, 3);
    g.origin = {origin[0], origin[1], origin[2]};
  }

  constexpr std::array<std::string_view, 3> kDirection{"TransformMatrix", "Rotation",
                                                       "Orientation"};
  if (const auto key = fields.synonym(kDirection, 9); !key.empty()) {
    const auto axes = fields.numbers(key, 9);  // one axis after another: our columns
    for (std::size_t axis = 0; axis < 3; ++axis) {
      for (std::size_t i = 0; i < 3; ++i) g.direction[3 * i + axis] = axes[3 * axis + i];
    }
  }

  // ITK reads a negative spacing as a flipped axis (itkImageFileReader.hxx).
  const std::array<double*, 3> mm{&g.spacing.x, &g.spacing.y, &g.spacing.z};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    if (*mm[axis] >= 0) continue;
    *mm[axis] = -*mm[axis];
    for (std::size_t i = 0; i < 3; ++i) {
      double& component = g.direction[3 * i + axis];
      if (component != 0) component = -component;  // no minus zero
    }
  }
  g.validate(name.c_str());
  return g;
}

void refuse_other_images(const Fields& fields) {
  if (fields.has("ObjectType") && fields.text("ObjectType") != "Image") {
    fields.fail("ObjectType", "is not supported: a scan is an Image");
  }
  if (fields.integer("ElementNumberOfChannels", 1) != 1) {
    fields.fail("ElementNumberOfChannels", "is not supported: a CT has one channel");
  }
  // SimpleITK ignores these two, so nobody can say whether the voxels are HU yet.
  for (const auto& [key, identity] : {std::pair{"ElementToIntensityFunctionSlope", 1.0},
                                      std::pair{"ElementToIntensityFunctionOffset", 0.0}}) {
    if (fields.has(key) && fields.numbers(key, 1)[0] != identity) {
      fields.fail(key, "is not supported: store HU (slope 1, offset 0)");
    }
  }
}

bool is_swapped(const Fields& fields) {
  const bool is_big =
      fields.flag("BinaryDataByteOrderMSB", fields.flag("ElementByteOrderMSB", false));
  if (fields.flag("ElementByteOrderMSB", is_big) != is_big) {
    fields.fail("ElementByteOrderMSB", "contradicts BinaryDataByteOrderMSB");
  }
  return is_big != (std::endian::native == std::endian::big);
}

void read_layout(const Fields& fields, MetaImageHeader& header) {
  header.is_binary = fields.flag("BinaryData", true);
  header.is_compressed = header.is_binary && fields.flag("CompressedData", false);
  header.is_swapped = is_swapped(fields);

  const std::int64_t compressed = fields.integer("CompressedDataSize", 0);
  if (compressed < 0) fields.fail("CompressedDataSize", "is negative");
  if (compressed > 0) header.compressed_bytes = static_cast<std::uint64_t>(compressed);

  const std::int64_t skipped = fields.integer("HeaderSize", 0);
  if (skipped < -1) fields.fail("HeaderSize", "is neither a number of bytes nor -1");
  if (skipped == -1) {
    if (header.is_compressed || !header.is_binary) {
      fields.fail("HeaderSize", "(voxels end with the file) needs uncompressed binary data");
    }
    header.skipped_bytes.reset();
  } else {
    header.skipped_bytes = static_cast<std::uint64_t>(skipped);
  }
}

}  // namespace

MetaImageHeader read_metaimage_header(const std::filesystem::path& path) {
  MetaImageHeader header;
  header.path = path;
  const InputFile file(path);
  header.name = file.name();
  const std::string text = head_of(file);
  Fields fields(header.name);
  std::string_view rest = text;
  for (std::size_t number = 1; !rest.empty() && !fields.has("ElementDataFile"); ++number) {
    if (const auto field = parsed_line(next_line(rest), number, fields)) fields.add(*field);
  }
  refuse_other_images(fields);
  header.geometry = geometry_of(fields, header.name);
  header.element_type = fields.text("ElementType");
  const auto element = element_of(header.element_type);
  if (!element) fields.fail("ElementType", "is not supported; use one of " + element_names());
  header.element = *element;
  read_layout(fields, header);
  header.data_file = fields.text("ElementDataFile");
  header.data_offset = text.size() - rest.size();
  if (lower(header.data_file) != "local") {
    if (file.size() > kLongestHeader) {
      fields.fail("is longer than " + std::to_string(kLongestHeader) + " bytes: no text header");
    }
    while (!rest.empty()) header.lines_after.emplace_back(trimmed(next_line(rest)));
  }
  header.series_uid = fields.has(kSeriesTag) ? uid_or_empty(fields.text(kSeriesTag)) : "";
  if (header.series_uid.empty()) header.series_uid = uid_or_empty(path.stem().string());
  return header;
}

}  // namespace lunart
