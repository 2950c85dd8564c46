// Output that is whole or absent: written under a temporary name in the target's folder, flushed to
// the disk, then renamed over the target.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace lunart {

// A file in the making. Without commit() it vanishes with the object. A target that exists and is
// no regular file (/dev/stdout, a pipe) is written directly, for it cannot be renamed over.
class AtomicFile {
 public:
  // Throws Errc::output: no such folder, a folder instead of a file, no permission.
  explicit AtomicFile(const std::filesystem::path& target);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  // On the disk, under its temporary name; what is left is commit(), a rename. Lets several files
  // that belong together fail before any of them appears.
  void flush();
  void commit();

 private:
  [[noreturn]] void fail(int error_number) const;

  std::filesystem::path target_;
  std::filesystem::path temporary_;  // empty: written directly
  int descriptor_{-1};
};

// Throws Errc::output, and leaves nothing behind.
void write_file_atomically(const std::filesystem::path& target, std::string_view content);

}  // namespace lunart
