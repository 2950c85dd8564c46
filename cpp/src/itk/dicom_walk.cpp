#include "itk/dicom_walk.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <sstream>
#include <string_view>
#include <utility>

#include "io/dicom_start.hpp"
#include "io/text.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

constexpr std::uint64_t kPreamble = 128;
constexpr int kDeepest = 32;  // sequences in sequences; a standard's object has about ten
constexpr std::uint32_t kPixelData = 0x7FE00010;
constexpr std::uint32_t kShared = 0x52009229;                 // SharedFunctionalGroupsSequence
constexpr std::uint32_t kPerFrame = 0x52009230;               // PerFrameFunctionalGroupsSequence
constexpr std::size_t kMostElements = std::size_t{1} << 16U;  // of a data set, without sequences'
constexpr std::size_t kMostFrames = std::size_t{1} << 18U;
constexpr std::uint32_t kMostValue =
    4096;  // of one that is kept; a longer one is hostile or no text
constexpr std::array kSequence{'S', 'Q'};
constexpr std::array kUnknown{'U', 'N'};
constexpr std::uint32_t kItem = 0xFFFEE000;
constexpr std::uint32_t kItemEnd = 0xFFFEE00D;
constexpr std::uint32_t kSequenceEnd = 0xFFFEE0DD;
constexpr std::string_view kImplicit = "1.2.840.10008.1.2";
constexpr std::string_view kBigEndian = "1.2.840.10008.1.2.2";
constexpr std::string_view kDeflated = "1.2.840.10008.1.2.1.99";
constexpr std::string_view kExplicit = "1.2.840.10008.1.2.1";

struct Element {
  std::uint32_t tag{};
  std::array<char, 2> vr{};  // zeros in implicit encoding
  std::uint32_t length{};
};

// Where an item's elements go: nowhere, itself the wanted ones, or, of an item of functional
// groups, those of the first item of each group.
struct Keep {
  DicomValues* into{};
  bool is_groups{};
};

class Walk {
 public:
  Walk(std::istream& stream, std::string name, std::span<const std::uint32_t> wanted)
      : stream_(stream), name_(std::move(name)), wanted_(wanted) {
    // Only as far as a member must be inflated: the end is found by reading on, not by asking.
    stream_.clear();
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(Errc::scan, name_ + ": " + what);
  }

  DicomLayout run(WalkTo to) {
    seek(kPreamble);
    std::array<char, 4> magic{};
    stream_.read(magic.data(), magic.size());
    const bool has_meta = stream_ && std::memcmp(magic.data(), "DICM", magic.size()) == 0;
    seek(has_meta ? kPreamble + 4 : 0);
    meta();
    if (layout_.syntax.empty()) {
      explicit_ = looks_explicit();
    } else {
      explicit_ = layout_.syntax != kImplicit;
      layout_.is_big_endian = big_ = layout_.syntax == kBigEndian;
    }
    data_set(to);
    return std::move(layout_);
  }

 private:
  void seek(std::uint64_t at) {
    stream_.clear();
    stream_.seekg(static_cast<std::streamoff>(at));
    if (!stream_) cut();
  }
  [[noreturn]] void cut() const { fail("is cut off, or one of its elements has a wrong length"); }

  [[nodiscard]] std::uint64_t at() const {
    return static_cast<std::uint64_t>(std::streamoff(stream_.tellg()));
  }

  // Whether nothing follows.
  bool at_end() {
    if (stream_.peek() != std::istream::traits_type::eof()) return false;
    stream_.clear();
    return true;
  }

  template <class T>
  T number() {
    std::array<unsigned char, sizeof(T)> raw{};
    stream_.read(reinterpret_cast<char*>(raw.data()), raw.size());
    if (!stream_) cut();
    if (big_) std::ranges::reverse(raw);
    T value = 0;
    for (std::size_t i = sizeof(T); i-- > 0;) value = static_cast<T>(value << 8U | raw.at(i));
    return value;
  }

  Element element() {
    Element e;
    const auto group = number<std::uint16_t>();
    e.tag = static_cast<std::uint32_t>(group) << 16U | number<std::uint16_t>();
    if (!explicit_ || group == 0xFFFE) {
      e.length = number<std::uint32_t>();
      return e;
    }
    stream_.read(e.vr.data(), e.vr.size());
    if (!stream_) cut();
    constexpr std::string_view kLong = "OB OD OF OL OV OW SQ SV UC UN UR UT UV";
    if (kLong.find(std::string_view(e.vr.data(), 2)) != std::string_view::npos) {
      static_cast<void>(number<std::uint16_t>());
      e.length = number<std::uint32_t>();
    } else {
      e.length = number<std::uint16_t>();
    }
    return e;
  }

  // Over `length` bytes that must be there.
  void skip(std::uint64_t length) {
    if (length == 0) return;
    const std::uint64_t end = at() + length;
    seek(end - 1);
    if (stream_.get() == std::istream::traits_type::eof()) cut();
  }

  void meta() {
    explicit_ = true;
    big_ = false;
    while (!at_end()) {
      const std::uint64_t begin = at();
      const auto group = number<std::uint16_t>();
      seek(begin);
      if (group != 2) return;
      const Element e = element();
      if (e.length == kUndefinedLength) fail("its meta information is damaged");
      const std::uint64_t value = at();
      if (e.tag == 0x00020010) layout_.syntax = text(e.length);
      if (e.tag == 0x00020002) layout_.media_class = text(e.length);
      seek(value);
      skip(e.length);
    }
  }

  std::string text(std::uint32_t length) {
    constexpr std::uint32_t kLongestUid = 128;
    std::string value(std::min(length, kLongestUid), '\0');
    stream_.read(value.data(), static_cast<std::streamsize>(value.size()));
    if (!stream_) cut();
    return std::string(trimmed(value));
  }

  // Without meta information: a VR is two capital letters.
  bool looks_explicit() {
    const std::uint64_t begin = at();
    std::array<char, 6> head{};
    stream_.read(head.data(), head.size());
    seek(begin);
    const auto is_capital = [](char c) { return c >= 'A' && c <= 'Z'; };
    return is_capital(head[4]) && is_capital(head[5]);
  }

  void data_set(WalkTo to) {
    for (std::size_t elements = 0; !at_end(); ++elements) {
      if (elements > kMostElements) {
        fail("has more than " + std::to_string(kMostElements) + " elements");
      }
      const Element e = element();
      if (e.tag == kPixelData) {
        layout_.pixels_at = at();
        layout_.pixels_length = e.length;
        if (to == WalkTo::end) pixels(e);
        return;
      }
      const bool is_padding = e.tag == 0 && e.length == 0;  // zeros after the last element
      if (e.tag > kPixelData || is_padding) return;
      if (e.tag == kShared && is_sequence(e)) {
        sequence(e, 0, [&](std::size_t n) {
          return n == 0 ? Keep{.into = &layout_.shared, .is_groups = true} : Keep{};
        });
      } else if (e.tag == kPerFrame && is_sequence(e)) {
        sequence(e, 0, [&](std::size_t n) {
          if (n >= kMostFrames) fail("has more than " + std::to_string(kMostFrames) + " frames");
          return Keep{.into = &layout_.frames.emplace_back(), .is_groups = true};
        });
      } else {
        value(e, 0, {.into = &layout_.values, .is_groups = false});
      }
    }
  }

  void value(const Element& e, int depth, const Keep& keep) {
    const bool is_kept = keep.into != nullptr && !keep.is_groups &&
                         std::ranges::find(wanted_, e.tag) != wanted_.end();
    if (is_sequence(e)) {
      const std::size_t count = sequence(e, depth, [&](std::size_t n) {
        return n == 0 && keep.is_groups ? Keep{.into = keep.into, .is_groups = false} : Keep{};
      });
      if (is_kept) (*keep.into)[e.tag] = {.vr = kSequence, .bytes = count > 0 ? "sequence" : ""};
    } else if (is_kept) {
      std::string bytes(std::min(e.length, kMostValue), '\0');
      stream_.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
      if (!stream_) cut();
      skip(e.length - bytes.size());
      (*keep.into)[e.tag] = {.vr = e.vr, .bytes = std::move(bytes)};
    } else {
      skip(e.length);
    }
  }

  bool is_sequence(const Element& e) {
    return e.length == kUndefinedLength || e.vr == kSequence ||
           (!explicit_ && begins_with_item(e.length));
  }

  // Its number of items; `keep_of` says for each what is kept.
  template <class KeepOf>
  std::size_t sequence(const Element& e, int depth, const KeepOf& keep_of) {
    if (e.length != kUndefinedLength) return items(depth + 1, at() + e.length, keep_of);
    // Of unknown content (UN) it is implicit, whatever surrounds it (PS3.5, 6.2.2).
    const bool was_explicit = explicit_;
    if (e.vr == kUnknown) explicit_ = false;
    const std::size_t count = items(depth + 1, std::nullopt, keep_of);
    explicit_ = was_explicit;
    return count;
  }

  bool begins_with_item(std::uint32_t length) {
    constexpr std::uint32_t kItemHeader = 8;
    if (length < kItemHeader) return false;
    const std::uint64_t begin = at();
    const auto group = number<std::uint16_t>();
    const auto number_in_group = number<std::uint16_t>();
    seek(begin);
    return group == 0xFFFE && number_in_group == 0xE000;
  }

  // To `end`, or to the delimiter.
  template <class KeepOf>
  std::size_t items(int depth, std::optional<std::uint64_t> end, const KeepOf& keep_of) {
    if (depth > kDeepest) fail("its sequences are nested more than " + std::to_string(kDeepest));
    std::size_t count = 0;
    while (!end || at() < *end) {
      const Element item = element();
      if (item.tag == kSequenceEnd && !end) return count;
      if (item.tag != kItem) fail("a sequence holds something else than items: damaged");
      const Keep keep = keep_of(count++);
      std::optional<std::uint64_t> item_end;
      if (item.length != kUndefinedLength) item_end = at() + item.length;
      while (!item_end || at() < *item_end) {
        const Element e = element();
        if (e.tag == kItemEnd && !item_end) break;
        value(e, depth, keep);
      }
      if (item_end && at() != *item_end) cut();
    }
    if (end && at() != *end) cut();
    return count;
  }

  void pixels(const Element& e) {
    if (e.length != kUndefinedLength) {
      skip(e.length);
      return;
    }
    while (true) {
      const Element item = element();
      if (item.tag == kSequenceEnd) return;
      if (item.tag != kItem || item.length == kUndefinedLength) {
        fail("its compressed pixels are damaged");
      }
      layout_.fragments.push_back({.at = at(), .length = item.length});
      skip(item.length);
    }
  }

  std::istream& stream_;
  std::string name_;
  std::span<const std::uint32_t> wanted_;
  bool explicit_{true};
  bool big_{};
  DicomLayout layout_;
};

constexpr std::uint64_t kMostInflated = std::uint64_t{1} << 30U;

std::string inflated(std::istream& stream, const std::string& name) {
  const auto fail = [&](const std::string& what) {
    throw Error(Errc::scan, name + ": its deflated data " + what);
  };
  z_stream z{};
  if (inflateInit2(&z, -MAX_WBITS) != Z_OK) fail("cannot be inflated: zlib does not start");
  const std::unique_ptr<z_stream, int (*)(z_stream*)> owner(&z, inflateEnd);
  std::vector<char> packed(std::size_t{1} << 18U);
  std::string out;
  int status = Z_OK;
  while (status != Z_STREAM_END) {
    if (z.avail_in == 0) {
      stream.read(packed.data(), static_cast<std::streamsize>(packed.size()));
      z.next_in = reinterpret_cast<Bytef*>(packed.data());
      z.avail_in = static_cast<uInt>(stream.gcount());
      if (z.avail_in == 0) fail("are cut off");
    }
    const std::size_t before = out.size();
    const std::size_t step = std::clamp<std::size_t>(before, packed.size(), packed.size() << 6U);
    if (before + step > kMostInflated) {
      fail("have more than " + std::to_string(kMostInflated >> 20U) + " MB");
    }
    out.resize(before + step);
    z.next_out = reinterpret_cast<Bytef*>(out.data() + before);
    z.avail_out = static_cast<uInt>(step);
    status = inflate(&z, Z_NO_FLUSH);
    out.resize(before + step - z.avail_out);
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) fail("are damaged");
  }
  return out;
}

}  // namespace

bool begins_as_dicom(std::istream& stream) {
  std::array<char, kDicomStart> head{};
  stream.seekg(0);
  stream.read(head.data(), head.size());
  const std::string_view text(head.data(), static_cast<std::size_t>(stream.gcount()));
  stream.clear();
  stream.seekg(0);
  return has_dicom_preamble(text) || begins_with_element(text);
}

std::unique_ptr<std::istream> inflated_copy(std::istream& stream, const std::string& name) {
  constexpr std::size_t kMetaBegin = 144;  // after (0002,0000), which gives the length of the rest
  constexpr std::uint32_t kLongestMeta = 1 << 16;
  std::string head(kMetaBegin, '\0');
  stream.clear();
  stream.seekg(0);
  stream.read(head.data(), static_cast<std::streamsize>(head.size()));
  const bool has_length = stream && std::memcmp(head.data() + kPreamble, "DICM\x02\0\0\0", 8) == 0;
  stream.clear();
  std::uint32_t length = 0;
  if (has_length) {
    for (std::size_t i = 4; i-- > 0;) {
      length = length << 8U | static_cast<unsigned char>(head.at(kMetaBegin - 4 + i));
    }
  }
  if (length == 0 || length >= kLongestMeta) return nullptr;
  std::string meta(length, '\0');
  stream.read(meta.data(), static_cast<std::streamsize>(meta.size()));
  const std::size_t at = meta.find(kDeflated);
  if (!stream || at == std::string::npos) {
    stream.clear();
    return nullptr;
  }
  std::string plain(kExplicit);
  plain.resize(kDeflated.size(), '\0');
  meta.replace(at, plain.size(), plain);
  return std::make_unique<std::istringstream>(head + meta + inflated(stream, name));
}

DicomLayout walk_dicom(std::istream& stream, const std::string& name, WalkTo to,
                       std::span<const std::uint32_t> wanted) {
  DicomLayout layout = Walk(stream, name, wanted).run(to);
  stream.clear();
  stream.seekg(0);
  return layout;
}

}  // namespace lunart
