// Writers of a result. Files are written beside the target and renamed: whole or absent.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "lunart/export.hpp"
#include "lunart/result.hpp"

namespace lunart {

struct ReportOptions {
  bool all_candidates{false};  // list every candidate, not only the nodules
};

// lunart.result/2 (docs/result.schema.json), indented.
[[nodiscard]] LUNART_API std::string to_json(const Result& result,
                                             const ReportOptions& options = {});
// A text of to_json in one line, for JSON Lines; and whether a file's name asks for that (.jsonl,
// .ndjson).
[[nodiscard]] LUNART_API std::string as_line(const std::string& json);
[[nodiscard]] LUNART_API bool wants_lines(const std::string& name);
// The results that to_json wrote into a file: one object, or one a line. Throws Errc::data naming
// the file, the key and the value when it holds anything else.
[[nodiscard]] LUNART_API std::vector<Result> read_results(const std::filesystem::path& path);
// LUNA16's submission form: seriesuid,coordX,coordY,coordZ,probability. `header` starts a file.
[[nodiscard]] LUNART_API std::string to_csv(const Result& result,
                                            const ReportOptions& options = {});
[[nodiscard]] LUNART_API std::string csv_header();
// A list of points for 3D Slicer (.mrk.json): one a finding, LPS.
[[nodiscard]] LUNART_API std::string to_markups(const Result& result,
                                                const ReportOptions& options = {});
// A table for people.
[[nodiscard]] LUNART_API std::string to_table(const Result& result,
                                              const ReportOptions& options = {});

// Where results are to be written; empty: not.
struct Outputs {
  std::string json, csv, mask, region_mask, markups;
};

// What is better said before minutes of work than after. Throws Errc::output when a folder does not
// exist; Errc::usage when two outputs are the same file, a name does not end as its kind must
// (masks: .mhd, .mha, .nii, .nii.gz; markups: .mrk.json), a file of one of the scans would be
// replaced, or an output lies in the bundle.
LUNART_API void check_outputs(const Outputs& outputs,
                              const std::vector<std::filesystem::path>& scans,
                              const std::filesystem::path& bundle);

// The findings' voxels with their labels, or the lung region, in the scan's geometry (.mhd, .mha,
// .nii, .nii.gz).
LUNART_API void write_label_mask(const std::filesystem::path& path, const Result& result,
                                 const ReportOptions& options = {});
LUNART_API void write_region_mask(const std::filesystem::path& path, const Result& result);

}  // namespace lunart
