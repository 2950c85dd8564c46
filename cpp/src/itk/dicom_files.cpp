#include "itk/dicom_files.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <string_view>
#include <system_error>

#include "io/dicom_start.hpp"
#include "io/input_file.hpp"
#include "io/text.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

namespace fs = std::filesystem;

std::unique_ptr<std::istream> opened(const fs::path& path) {
  auto stream = std::make_unique<std::ifstream>(path, std::ios::binary);
  if (!*stream) throw Error(Errc::scan, shown(path) + ": cannot be read: " + reason_of(errno));
  return stream;
}

class Folder final : public DicomFiles {
 public:
  explicit Folder(fs::path path) : path_(std::move(path)) {
    std::error_code error;
    // Links to folders are not followed: they may lead in circles.
    for (fs::recursive_directory_iterator it(path_, error), end; !error && it != end;
         it.increment(error)) {
      std::error_code gone;
      if (!it->is_regular_file(gone)) continue;
      names_.push_back(it->path().lexically_relative(path_).string());
      if (names_.size() > kMostDicomFiles) {
        throw Error(Errc::scan, shown(path_) + ": holds more than " +
                                    std::to_string(kMostDicomFiles) +
                                    " files; name a smaller folder");
      }
    }
    if (error) throw Error(Errc::scan, shown(path_) + ": cannot be read: " + error.message());
    std::ranges::sort(names_);
  }

  [[nodiscard]] const std::vector<std::string>& names() const override { return names_; }
  [[nodiscard]] std::unique_ptr<std::istream> open(std::size_t number) override {
    return opened(path_ / names_.at(number));
  }

 private:
  fs::path path_;
  std::vector<std::string> names_;
};

class One final : public DicomFiles {
 public:
  explicit One(fs::path path) : path_(std::move(path)), names_{path_.filename().string()} {}

  [[nodiscard]] const std::vector<std::string>& names() const override { return names_; }
  [[nodiscard]] std::unique_ptr<std::istream> open(std::size_t) override { return opened(path_); }

 private:
  fs::path path_;
  std::vector<std::string> names_;
};

// A DICOM file's preamble may hold anything, also this.
bool begins_as_zip(const fs::path& path) {
  std::array<char, kDicomStart> head{};
  std::ifstream file(path, std::ios::binary);
  file.read(head.data(), head.size());
  const std::string_view text(head.data(), static_cast<std::size_t>(file.gcount()));
  return text.starts_with("PK") && !has_dicom_preamble(text);
}

}  // namespace

std::unique_ptr<DicomFiles> open_dicom_files(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return std::make_unique<Folder>(path);
  if (begins_as_zip(path)) return open_zip(path);
  return std::make_unique<One>(path);
}

}  // namespace lunart
