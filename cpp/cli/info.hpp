// What luna_infer shows besides results: scans, bundles and engines at a glance, and
// a self-check.
#pragma once

#include <string>
#include <vector>

#include "cli/options.hpp"

namespace lunart::cli {

// Headers only, no voxel is read; and the bundle's models and artifacts. Text, or JSON.
[[nodiscard]] std::string describe(const Options& options, bool as_json);

[[nodiscard]] std::string text_of(const std::vector<EngineStatus>& engines);
[[nodiscard]] std::string json_of(const std::vector<EngineStatus>& engines);

[[nodiscard]] std::string text_of(const std::vector<Check>& checks);
[[nodiscard]] std::string json_of(const std::vector<Check>& checks);

}  // namespace lunart::cli
