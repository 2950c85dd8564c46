// A .pt2 file: a zip with one shared object of native code, and what the exporter says of its
// input.
//
// libtorch has a loader of its own. It is not used: it unpacks every file of the zip below /tmp by
// the name that the zip gives it ("../" included), and where the shared object is missing it runs a
// compiler command out of the zip. Here two entries are read by name, and one file is written.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace lunart {

// The sizes of one axis of the input that the code was compiled for. It checks none itself.
struct AxisRule {
  std::int64_t least{}, most{}, step{};
  bool operator==(const AxisRule&) const = default;
};

struct AotinductorPackage {
  std::string code;  // the shared object
  std::vector<AxisRule> input;
};

// Throws Errc::engine naming the file.
[[nodiscard]] AotinductorPackage read_package(const std::filesystem::path& path);

// Throws Errc::engine naming the axis, its size and what is allowed.
void require_fits(const std::vector<AxisRule>& rules, std::span<const std::int64_t> shape);

// A file of code in a folder of its own, for dlopen; removed at the end of its life, after which
// what was opened stays open.
class CodeFile {
 public:
  // In TMPDIR, or /tmp. Throws Errc::engine when nothing can be written there.
  explicit CodeFile(const std::string& code);
  CodeFile(const CodeFile&) = delete;
  CodeFile& operator=(const CodeFile&) = delete;
  ~CodeFile();

  [[nodiscard]] std::filesystem::path path() const { return folder_ / "model.so"; }
  [[nodiscard]] std::filesystem::path parent() const { return folder_.parent_path(); }

 private:
  std::filesystem::path folder_;
};

}  // namespace lunart
