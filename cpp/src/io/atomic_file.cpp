#include "io/atomic_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <system_error>

#include "io/input_file.hpp"
#include "io/text.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kMode = 0666;  // less the umask, as for any new file

// Short, and not made from the target's name: that may already be as long as a name can be.
fs::path temporary_beside(const fs::path& target) {
  static std::atomic<unsigned> count{0};
  return target.parent_path() /
         (".lunart-" + std::to_string(::getpid()) + "-" + std::to_string(count++) + ".tmp");
}

// An open file of this process by name: never replaced, also where the shell has redirected it to a
// regular file.
bool is_open_stream(const fs::path& target) {
  const std::string name = target.lexically_normal().string();
  return name == "/dev/stdout" || name == "/dev/stderr" || name.starts_with("/dev/fd/") ||
         name.starts_with("/proc/self/fd/");
}

}  // namespace

void AtomicFile::fail(int error_number) const {
  throw Error(Errc::output, shown(target_) + ": cannot be written: " + reason_of(error_number));
}

AtomicFile::AtomicFile(const fs::path& target) : target_(target) {
  std::error_code error;
  const fs::file_status status = fs::status(target, error);
  if (target.filename().empty() || fs::is_directory(status)) fail(EISDIR);
  if (fs::is_other(status) || is_open_stream(target)) {
    descriptor_ = ::open(target.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    if (descriptor_ < 0) fail(errno);
    return;
  }
  // Through a symbolic link the file behind it is replaced, and the link stays.
  if (fs::is_symlink(fs::symlink_status(target, error))) {
    const fs::path behind = fs::canonical(target, error);
    if (!error) target_ = behind;
  }
  temporary_ = temporary_beside(target_);
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kMode);
  if (descriptor_ < 0) {
    temporary_.clear();
    fail(errno);
  }
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void AtomicFile::flush() {
  if (!temporary_.empty() && ::fsync(descriptor_) != 0) fail(errno);
}

void AtomicFile::commit() {
  flush();
  if (!temporary_.empty() && ::rename(temporary_.c_str(), target_.c_str()) != 0) fail(errno);
  temporary_.clear();
}

void write_file_atomically(const fs::path& target, std::string_view content) {
  AtomicFile file(target);
  file.write(content);
  file.commit();
}

}  // namespace lunart
