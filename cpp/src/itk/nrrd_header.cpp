#include "itk/nrrd_header.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <span>
#include <string_view>
#include <system_error>

#include "io/input_file.hpp"
#include "io/text.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

namespace fs = std::filesystem;

// Far more than any header; what is longer is none.
constexpr std::uint64_t kLongestHeader = std::uint64_t{1} << 22U;

class Fields {
 public:
  Fields(std::string name, std::string_view text) : name_(std::move(name)) {
    if (!text.starts_with("NRRD000")) fail("does not begin as a NRRD file does (NRRD000...)");
    std::size_t at = 0;
    while (at < text.size()) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      std::string_view line = text.substr(at, end - at);
      at = std::min(end + 1, text.size());
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (line.empty()) {
        is_attached_ = true;
        break;
      }
      add(line);
    }
    end_ = at;
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(Errc::scan, name_ + ": " + what);
  }

  [[nodiscard]] bool has(const std::string& key) const { return values_.contains(key); }
  [[nodiscard]] const std::string& text(const std::string& key) const {
    const auto found = values_.find(key);
    if (found == values_.end()) fail("has no \"" + key + "\", which a NRRD header needs");
    return found->second;
  }
  [[nodiscard]] bool is_attached() const { return is_attached_; }
  [[nodiscard]] std::uint64_t end() const { return end_; }

 private:
  void add(std::string_view line) {
    const std::size_t colon = line.find(": ");
    // Comments, and "key:=value" pairs, which mean nothing to us.
    if (line.starts_with('#') || colon == std::string_view::npos) return;
    std::string key = lower(trimmed(line.substr(0, colon)));
    if (key == "datafile") key = "data file";
    if (key == "byteskip") key = "byte skip";
    if (key == "lineskip") key = "line skip";
    if (!values_.emplace(key, trimmed(line.substr(colon + 2))).second) {
      fail("gives " + in_quotes(key) + " twice");
    }
  }

  std::string name_;
  std::map<std::string, std::string> values_;
  bool is_attached_{};
  std::uint64_t end_{};
};

std::vector<std::int64_t> sizes_in(const Fields& fields) {
  std::vector<std::int64_t> sizes;
  for (const std::string_view word : words_of(fields.text("sizes"))) {
    const auto size = integer_of(word);
    if (!size || *size < 1) {
      fields.fail("sizes: " + in_quotes(fields.text("sizes")) + " holds " + in_quotes(word) +
                  ", which is no number of voxels");
    }
    sizes.push_back(*size);
  }
  return sizes;
}

// ITK takes 1 mm for what is missing or NaN; diameters and volumes would then be silently wrong.
void require_spacing(const Fields& fields) {
  for (const char* const key : {"space directions", "spacings"}) {
    if (!fields.has(key)) continue;
    const std::string value = lower(fields.text(key));
    if (value.find("nan") == std::string::npos && value.find("none") == std::string::npos) return;
    fields.fail(std::string(key) + ": " + in_quotes(fields.text(key)) +
                " leaves an axis without a spacing; a CT has three, in millimetres");
  }
  fields.fail(
      "has neither \"space directions\" nor \"spacings\": without them nothing can be measured in "
      "millimetres");
}

// ITK before 5.3 mirrors left and right instead of front and back of such files.
void refuse_mirrored_space(const Fields& fields) {
  if (!fields.has("space")) return;
  const std::string space = lower(fields.text("space"));
  if (space != "left-anterior-superior" && space != "las") return;
  fields.fail("space: " + in_quotes(fields.text("space")) +
              " is not read, because versions of ITK turn it over differently; save the scan as "
              "left-posterior-superior");
}

bool is_inside(const fs::path& file, const fs::path& folder) {
  return std::mismatch(folder.begin(), folder.end(), file.begin(), file.end()).first ==
         folder.end();
}

fs::path data_file_of(const Fields& fields, const fs::path& header) {
  const std::string& given = fields.text("data file");
  const auto refuse = [&](const std::string& why) {
    fields.fail("its data file " + in_quotes(given) + " " + why);
  };
  if (given.starts_with("LIST") || given.find('%') != std::string::npos) {
    refuse("stands for several files, which lunart does not read; save the scan as one .nrrd");
  }
  const fs::path file(given);
  if (given.find('\0') != std::string::npos) refuse("is no file name");
  if (file.is_absolute() || file.lexically_normal().begin()->string() == "..") {
    refuse("is outside the header's folder: put it beside the header");
  }
  std::error_code error;
  const fs::path parent = header.parent_path();
  const fs::path folder = fs::canonical(parent.empty() ? fs::path(".") : parent, error);
  if (error) fields.fail("its folder cannot be read: " + error.message());
  const fs::path found = fs::canonical(folder / file, error);
  if (error) refuse("cannot be found beside the header: " + error.message());
  const fs::path real_folder = fs::canonical(header, error).parent_path();
  if (!is_inside(found, folder) && (error || !is_inside(found, real_folder))) {
    refuse("leads outside the header's folder, to " + shown(found));
  }
  return found;
}

}  // namespace

NrrdHeader read_nrrd_header(const fs::path& path) {
  const InputFile file(path);
  std::string text(static_cast<std::size_t>(std::min(file.size(), kLongestHeader)), '\0');
  file.read(0, std::as_writable_bytes(std::span(text)));
  const Fields fields(file.name(), text);

  NrrdHeader header;
  header.sizes = sizes_in(fields);
  header.type = fields.text("type");
  header.encoding = lower(fields.text("encoding"));
  constexpr std::array kEncodings{"raw", "gzip", "gz", "ascii", "text", "txt", "hex"};
  if (std::ranges::find(kEncodings, header.encoding) == kEncodings.end()) {
    fields.fail("encoding: " + in_quotes(header.encoding) +
                " is not supported; save the scan as raw or gzip");
  }
  header.is_compressed = header.encoding.starts_with("gz");
  require_spacing(fields);
  refuse_mirrored_space(fields);
  header.has_skip = fields.has("byte skip") || fields.has("line skip");
  header.data = path;
  if (fields.has("data file")) {
    header.data = data_file_of(fields, path);
    header.data_bytes = InputFile(header.data).size();
  } else if (fields.is_attached()) {
    header.data_offset = fields.end();
    header.data_bytes = file.size() - fields.end();
  } else {
    fields.fail("ends without an empty line, after which the voxels begin (truncated?)");
  }
  return header;
}

}  // namespace lunart
