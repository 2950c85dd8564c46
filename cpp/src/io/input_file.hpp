// A regular file opened for reading at any offset. Reads instead of mapping: a file that shrinks
// under a mapping (a network share, a scanner still writing) kills the process with SIGBUS, and
// reading costs about 1 % of what the pipeline needs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace lunart {

class InputFile {
 public:
  // Throws Errc::scan: missing, a folder, a device or pipe, no permission.
  explicit InputFile(const std::filesystem::path& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }  // for messages
  // Fills `into` from `offset`. Throws Errc::scan when the file cannot give that much.
  void read(std::uint64_t offset, std::span<std::byte> into) const;

 private:
  std::string name_;
  int descriptor_;
  std::uint64_t size_{};
};

// "cannot open: Permission denied" and the like, for an errno.
[[nodiscard]] std::string reason_of(int error_number);

}  // namespace lunart
