// Writers of a result. Files are written beside the target and renamed: whole or absent.
#pragma once

#include <filesystem>
#include <string>

#include "lunart/result.hpp"

namespace lunart {

struct ReportOptions {
  bool all_candidates{false};  // list every candidate, not only the nodules
};

// lunart.result/1 (docs/result.schema.json), indented.
[[nodiscard]] std::string to_json(const Result& result, const ReportOptions& options = {});
// LUNA16's submission form: seriesuid,coordX,coordY,coordZ,probability. `header` starts a file.
[[nodiscard]] std::string to_csv(const Result& result, const ReportOptions& options = {});
[[nodiscard]] std::string csv_header();
// A table for people.
[[nodiscard]] std::string to_table(const Result& result, const ReportOptions& options = {});

// What is better said before minutes of work than after. Throws Errc::output when the folder of
// `output` does not exist, Errc::usage when writing it would replace a part of `scan`.
void check_output(const std::filesystem::path& output, const std::filesystem::path& scan);

// The findings' voxels with their labels, or the lung region, in the scan's geometry (.mhd, .mha).
void write_label_mask(const std::filesystem::path& path, const Result& result,
                      const ReportOptions& options = {});
void write_region_mask(const std::filesystem::path& path, const Result& result);

}  // namespace lunart
