#include "engines/model_cache.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <utility>

#include "bundle/sha256.hpp"
#include "io/atomic_file.hpp"
#include "io/input_file.hpp"
#include "io/text.hpp"
#include "lunart/error.hpp"
#include "lunart/runner.hpp"

namespace lunart {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kDigest = 64;           // hexadecimal digits in front of the blob
constexpr off_t kMostBytes = off_t{1} << 30;  // a thousand times the networks we know
constexpr std::size_t kMostBlobs = 32;        // the rest are of old versions and old bundles
constexpr std::string_view kEnding = ".blob";

std::string digest_of(std::string_view bytes) {
  return sha256(std::as_bytes(std::span(bytes)));
}

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  [[nodiscard]] int get() const { return number_; }

 private:
  int number_;
};

// Why there is no cache: the end of a warning.
class NoCache : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// $XDG_CACHE_HOME, which must be absolute (XDG Base Directory Specification), else $HOME/.cache.
fs::path user_cache_folder() {
  const char* xdg = std::getenv("XDG_CACHE_HOME");
  if (xdg != nullptr && *xdg == '/') return xdg;
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home != '/') throw NoCache("HOME is not set");
  return fs::path(home) / ".cache";
}

// Makes what is missing of it, for this user alone.
fs::path made_folder(const std::string& engine) {
  const fs::path base = user_cache_folder();
  fs::path folder = base / "lunart" / engine;
  for (const fs::path& path : {base, base / "lunart", folder}) {
    if (::mkdir(path.c_str(), S_IRWXU) != 0 && errno != EEXIST) {
      throw NoCache(shown(path) + " cannot be made: " + reason_of(errno));
    }
  }
  return folder;
}

// A folder that only this user can write to. It is held open, so that what was checked is what is
// read.
class Folder {
 public:
  explicit Folder(fs::path path)
      : path_(std::move(path)),
        held_(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) {
    struct stat status{};
    if (held_.get() < 0 || ::fstat(held_.get(), &status) != 0) {
      throw NoCache(shown(path_) + ": " + reason_of(errno));
    }
    if (status.st_uid != ::geteuid()) throw NoCache(shown(path_) + " belongs to another user");
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
      throw NoCache(shown(path_) + " can be written by others; chmod go-w makes it usable");
    }
  }

  [[nodiscard]] const fs::path& path() const { return path_; }

  // A file's content; none when it is absent, empty when it is not to be had.
  [[nodiscard]] std::optional<std::string> read(const std::string& name) const {
    const Descriptor file(
        ::openat(held_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (file.get() < 0) return errno == ENOENT ? std::optional<std::string>() : "";
    struct stat status{};
    if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return "";
    if (status.st_size <= 0 || status.st_size > kMostBytes) return "";
    std::string content(static_cast<std::size_t>(status.st_size), '\0');
    for (std::size_t done = 0; done < content.size();) {
      const ssize_t got = ::read(file.get(), content.data() + done, content.size() - done);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return "";
      done += static_cast<std::size_t>(got);
    }
    ::futimens(file.get(), nullptr);  // for keep_the_youngest; a failure only ages the blob
    return content;
  }

  void remove(const std::string& name) const { ::unlinkat(held_.get(), name.c_str(), 0); }

  void keep_the_youngest(std::size_t most) const {
    std::vector<std::pair<fs::file_time_type, fs::path>> blobs;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(path_, error)) {
      if (entry.path().extension() != kEnding) continue;
      blobs.emplace_back(entry.last_write_time(error), entry.path().filename());
    }
    if (blobs.size() <= most) return;
    std::ranges::sort(blobs);
    blobs.resize(blobs.size() - most);
    for (const auto& [time, name] : blobs) remove(name);
  }

 private:
  fs::path path_;
  Descriptor held_;
};

class UserCache final : public ModelCache {
 public:
  explicit UserCache(std::string engine) : engine_(std::move(engine)) {}

  [[nodiscard]] std::string key_of(std::string_view model,
                                   std::string_view settings) const override {
    return digest_of(std::string(version()) + "\n" + std::string(settings) + "\n" +
                     digest_of(model));
  }

  [[nodiscard]] std::optional<std::string> find(const std::string& key) override {
    if (!open()) return {};
    std::optional<std::string> content = folder_->read(file_of(key));
    if (!content) return {};
    if (content->size() <= kDigest ||
        digest_of(std::string_view(*content).substr(kDigest)) != content->substr(0, kDigest)) {
      reject(key, "is damaged");
      return {};
    }
    content->erase(0, kDigest);
    return content;
  }

  void keep(const std::string& key, std::string_view blob) override {
    if (!open()) return;
    try {
      AtomicFile file(folder_->path() / file_of(key));
      file.write(digest_of(blob));
      file.write(blob);
      file.commit();
      folder_->keep_the_youngest(kMostBlobs);
    } catch (const Error& error) {
      give_up(error.what());
    }
  }

  void reject(const std::string& key, const std::string& why) override {
    if (!open()) return;
    folder_->remove(file_of(key));
    warnings_.push_back({"model-cache", "a compiled model in " + shown(folder_->path()) + " " +
                                            why + ", so it was removed and compiled again"});
  }

  [[nodiscard]] std::vector<Warning> warnings() const override { return warnings_; }

 private:
  static std::string file_of(const std::string& key) { return key + std::string(kEnding); }

  // Not before it is needed: listing the engines leaves no folder behind.
  bool open() {
    if (std::exchange(tried_, true)) return folder_ != nullptr;
    try {
      folder_ = std::make_unique<Folder>(made_folder(engine_));
    } catch (const NoCache& none) {
      give_up(none.what());
    }
    return folder_ != nullptr;
  }

  void give_up(const std::string& why) {
    folder_.reset();
    warnings_.push_back(
        {"no-model-cache",
         "compiled models are not kept, so every start takes a little longer: " + why});
  }

  std::string engine_;
  bool tried_{};
  std::unique_ptr<Folder> folder_;
  std::vector<Warning> warnings_;
};

}  // namespace

std::unique_ptr<ModelCache> open_model_cache(const std::string& engine) {
  return std::make_unique<UserCache>(engine);
}

}  // namespace lunart
