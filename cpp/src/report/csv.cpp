// LUNA16's submission form (https://luna16.grand-challenge.org/Evaluation/).
#include <array>
#include <cstdio>
#include <filesystem>

#include "lunart/report.hpp"
#include "report/listed.hpp"

namespace lunart {

std::string csv_header() {
  return "seriesuid,coordX,coordY,coordZ,probability\n";
}

std::string to_csv(const Result& result, const ReportOptions& options) {
  // The challenge joins on this column, so an unknown UID still needs a name: the file's.
  const std::string uid = result.series_uid.empty()
                              ? std::filesystem::path(result.path).stem().string()
                              : result.series_uid;
  std::string quoted = uid;
  if (uid.find_first_of(",\"\r\n") != std::string::npos) {
    quoted = "\"";
    for (const char c : uid) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    quoted += '"';
  }
  std::string out;
  for (const Finding& f : listed(result, options)) {
    std::array<char, 160> numbers{};
    std::snprintf(numbers.data(), numbers.size(), ",%.6f,%.6f,%.6f,%.9g\n", f.center_xyz_mm.x,
                  f.center_xyz_mm.y, f.center_xyz_mm.z, f.probability);
    out += quoted + numbers.data();
  }
  return out;
}

}  // namespace lunart
