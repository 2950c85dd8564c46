#include "io/input_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "io/text.hpp"
#include "lunart/error.hpp"

namespace lunart {

std::string reason_of(int error_number) {
  return std::generic_category().message(error_number);
}

InputFile::InputFile(const std::filesystem::path& path)
    : name_(shown(path)),
      // O_NONBLOCK: opening a named pipe must not wait for a writer.
      descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  if (descriptor_ < 0) {
    throw Error(Errc::scan, name_ + ": cannot be opened: " + reason_of(errno));
  }
  struct stat status{};
  const bool known = ::fstat(descriptor_, &status) == 0;
  if (!known || !S_ISREG(status.st_mode)) {
    ::close(descriptor_);
    throw Error(Errc::scan, name_ + ": is not a regular file");
  }
  size_ = static_cast<std::uint64_t>(status.st_size);
}

InputFile::~InputFile() {
  ::close(descriptor_);
}

void InputFile::read(std::uint64_t offset, std::span<std::byte> into) const {
  while (!into.empty()) {
    const ssize_t got = ::pread(descriptor_, into.data(), into.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error(Errc::scan, name_ + ": cannot be read: " + reason_of(errno));
    if (got == 0) {
      throw Error(Errc::scan, name_ + ": ends at byte " + std::to_string(offset) + " (it had " +
                                  std::to_string(size_) +
                                  " bytes when it was opened); is it still being copied?");
    }
    offset += static_cast<std::uint64_t>(got);
    into = into.subspan(static_cast<std::size_t>(got));
  }
}

}  // namespace lunart
