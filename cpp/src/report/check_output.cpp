#include <algorithm>
#include <array>
#include <string>

#include "lunart/error.hpp"
#include "lunart/report.hpp"

namespace lunart {
namespace {

namespace fs = std::filesystem;

// x.mhd is written with x.zraw beside it, so the whole family of names belongs to a scan.
bool is_of_the_scan(const fs::path& output, const fs::path& scan) {
  constexpr std::array kFamily{".mhd", ".mha", ".raw", ".zraw"};
  std::error_code error;
  if (fs::equivalent(output, scan, error)) return true;
  return output.stem() == scan.stem() &&
         std::ranges::find(kFamily, output.extension()) != kFamily.end() &&
         fs::equivalent(fs::absolute(output).parent_path(), fs::absolute(scan).parent_path(),
                        error);
}

}  // namespace

void check_output(const fs::path& output, const fs::path& scan) {
  const fs::path folder = fs::absolute(output).parent_path();
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    throw Error(Errc::output,
                output.string() + ": its folder " + folder.string() + " does not exist");
  }
  if (!scan.empty() && is_of_the_scan(output, scan)) {
    throw Error(Errc::usage, output.string() + ": would overwrite the scan " + scan.string() +
                                 "; give the output another name");
  }
}

}  // namespace lunart
