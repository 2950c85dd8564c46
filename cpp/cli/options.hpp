// The command line of luna_infer.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lunart/report.hpp"
#include "lunart/runner.hpp"

namespace lunart::cli {

enum class Task { infer, info, engines, selfcheck, version, help };
enum class ProgressStyle { bar, json, none };

struct Options {
  Task task{Task::infer};
  std::vector<std::filesystem::path> scans;  // or pictures
  ReadOptions read;
  RunnerOptions runner;
  bool all_candidates{false};
  std::vector<std::string> of_scans{};  // options that were given and have no meaning for pictures
  ProgressStyle progress{ProgressStyle::bar};
  // Where results go; "-" is standard output.
  std::optional<std::string> json, csv, mask, region_mask, markups;

  [[nodiscard]] bool wants_json_lines() const {
    return scans.size() > 1 || (json && wants_lines(*json));
  }
  [[nodiscard]] bool standard_output_is_taken() const { return json == "-" || csv == "-"; }
};

// Throws Errc::usage, naming the option and the value. Finds the default bundle: exported/luna in
// the working directory, else next to the program.
[[nodiscard]] Options parse(int argc, char** argv);

[[nodiscard]] std::string help();

}  // namespace lunart::cli
