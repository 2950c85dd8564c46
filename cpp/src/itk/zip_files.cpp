// A zip's members through libzip, inflated only as far as they are read.
#include <zip.h>

#include <algorithm>
#include <array>
#include <streambuf>

#include "io/text.hpp"
#include "itk/dicom_files.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

// A member is held while it is decoded; the largest enhanced CTs have about 1 GB.
constexpr std::uint64_t kMostMemberBytes = std::uint64_t{2} << 30U;

// Keeps what was inflated, so that readers can go back.
class Member final : public std::streambuf {
 public:
  Member(zip_file_t* file, std::string name, std::size_t bytes)
      : file_(file), name_(std::move(name)) {
    held_.reserve(bytes);  // untouched until they come; growing would hold them twice
  }
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;
  ~Member() override { zip_fclose(file_); }

 protected:
  int_type underflow() override {
    const auto at = static_cast<std::size_t>(gptr() - eback());
    if (!reach(at + 1)) return traits_type::eof();
    return traits_type::to_int_type(*gptr());
  }

  pos_type seekoff(off_type offset, std::ios::seekdir way, std::ios::openmode which) override {
    off_type from = 0;
    if (way == std::ios::cur) from = gptr() - eback();
    if (way == std::ios::end) {
      reach(kMostMemberBytes);
      from = static_cast<off_type>(held_.size());
    }
    return seekpos(from + offset, which);
  }

  pos_type seekpos(pos_type position, std::ios::openmode) override {
    const off_type at = position;
    if (at < 0 || !reach(static_cast<std::size_t>(at))) return {off_type{-1}};
    setg(held_.data(), held_.data() + at, held_.data() + held_.size());
    return position;
  }

 private:
  // Whether the member has so many bytes.
  bool reach(std::uint64_t bytes) {
    constexpr std::uint64_t kLeast = std::uint64_t{1} << 14U;
    const auto at = gptr() - eback();
    bool more = true;
    while (more && held_.size() < bytes && held_.size() < kMostMemberBytes) {
      constexpr std::uint64_t kMost = std::uint64_t{1} << 24U;
      const std::uint64_t room = held_.capacity() - held_.size();
      std::uint64_t step = std::clamp<std::uint64_t>(held_.size(), kLeast, kMost);
      if (room > 0) step = std::min(step, room);
      const std::size_t before = held_.size();
      held_.resize(before + step);
      const zip_int64_t got = zip_fread(file_, held_.data() + before, step);
      held_.resize(before + static_cast<std::size_t>(std::max<zip_int64_t>(got, 0)));
      if (got < 0) throw Error(Errc::scan, name_ + " is damaged (" + reason() + ")");
      more = got > 0;
    }
    setg(held_.data(), held_.data() + at, held_.data() + held_.size());
    return held_.size() >= bytes;
  }

  std::string reason() { return printable(zip_error_strerror(zip_file_get_error(file_))); }

  zip_file_t* file_;
  std::string name_;
  std::vector<char> held_;
};

class MemberStream final : public std::istream {
 public:
  MemberStream(zip_file_t* file, std::string name, std::size_t bytes)
      : std::istream(nullptr), member_(file, std::move(name), bytes) {
    rdbuf(&member_);
    exceptions(std::ios::badbit);  // ours pass
  }

 private:
  Member member_;
};

class Zip final : public DicomFiles {
 public:
  explicit Zip(const std::filesystem::path& path) : name_(shown(path)) {
    int code = 0;
    zip_.reset(zip_open(path.c_str(), ZIP_RDONLY, &code));
    if (!zip_) {
      zip_error_t error;
      zip_error_init_with_code(&error, code);
      const std::string reason = printable(zip_error_strerror(&error));
      zip_error_fini(&error);
      throw Error(Errc::scan, name_ + ": is no zip archive, or a damaged one (" + reason + ")");
    }
    const auto count = static_cast<zip_uint64_t>(zip_get_num_entries(zip_.get(), 0));
    if (count > kMostDicomFiles) {
      throw Error(Errc::scan,
                  name_ + ": holds more than " + std::to_string(kMostDicomFiles) + " files");
    }
    for (zip_uint64_t i = 0; i < count; ++i) {
      const char* const member = zip_get_name(zip_.get(), i, 0);
      const std::string text = member == nullptr ? "" : member;
      if (!text.ends_with('/')) members_.emplace_back(text, i);
    }
    std::ranges::sort(members_);
    // Of one name several times the last counts, as where it is unpacked.
    const auto same = std::ranges::unique(members_.rbegin(), members_.rend(), {},
                                          [](const auto& m) -> const auto& { return m.first; });
    members_.erase(members_.begin(), same.begin().base());
    for (const auto& [member, index] : members_) names_.push_back(member);
  }

  [[nodiscard]] const std::vector<std::string>& names() const override { return names_; }

  [[nodiscard]] std::unique_ptr<std::istream> open(std::size_t number) override {
    const auto& [member, index] = members_.at(number);
    const std::string subject = name_ + ": " + in_quotes(member);
    zip_stat_t stat;
    zip_stat_init(&stat);
    const bool known = zip_stat_index(zip_.get(), index, 0, &stat) == 0;
    const bool has_size = known && (stat.valid & ZIP_STAT_SIZE) != 0;
    if (known && (stat.valid & ZIP_STAT_ENCRYPTION_METHOD) != 0 &&
        stat.encryption_method != ZIP_EM_NONE) {
      throw Error(Errc::scan, subject + " is encrypted; unpack the archive first");
    }
    if (has_size && stat.size > kMostMemberBytes) {
      throw Error(Errc::scan,
                  subject + " is larger than " + std::to_string(kMostMemberBytes >> 30U) + " GB");
    }
    zip_file_t* const file = zip_fopen_index(zip_.get(), index, 0);
    if (file == nullptr) {
      throw Error(Errc::scan,
                  subject + " cannot be unpacked (" + printable(zip_strerror(zip_.get())) + ")");
    }
    return std::make_unique<MemberStream>(file, subject, has_size ? stat.size : 0);
  }

 private:
  std::string name_;
  std::unique_ptr<zip_t, void (*)(zip_t*)> zip_{nullptr, zip_discard};
  std::vector<std::pair<std::string, zip_uint64_t>> members_;
  std::vector<std::string> names_;
};

}  // namespace

std::unique_ptr<DicomFiles> open_zip(const std::filesystem::path& path) {
  return std::make_unique<Zip>(path);
}

}  // namespace lunart
