// Masks in the scan's own geometry.
#include <algorithm>
#include <limits>
#include <span>

#include "io/volume_write.hpp"
#include "lunart/report.hpp"
#include "report/listed.hpp"

namespace lunart {

void write_label_mask(const std::filesystem::path& path, const Result& result,
                      const ReportOptions& options) {
  const std::vector<std::uint32_t> labels = label_mask(result, listed(result, options));
  if (std::ranges::max(labels) > std::numeric_limits<std::uint16_t>::max()) {
    write_volume(path, result.geometry, "MET_UINT", std::as_bytes(std::span(labels)));
    return;
  }
  const std::vector<std::uint16_t> narrow(labels.begin(), labels.end());
  write_volume(path, result.geometry, "MET_USHORT", std::as_bytes(std::span(narrow)));
}

void write_region_mask(const std::filesystem::path& path, const Result& result) {
  const std::vector<std::uint8_t> region = region_mask(result);
  write_volume(path, result.geometry, "MET_UCHAR", std::as_bytes(std::span(region)));
}

}  // namespace lunart
