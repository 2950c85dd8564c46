// The checks of one model, artifact and engine while they are made.
#pragma once

#include <algorithm>
#include <iterator>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "lunart/runner.hpp"

namespace lunart {

constexpr double kNever = std::numeric_limits<double>::infinity();

class Report {
 public:
  Report(std::string model, std::string artifact, std::string engine)
      : model_(std::move(model)), artifact_(std::move(artifact)), engine_(std::move(engine)) {}

  void add(const std::string& check, double value, double limit, const std::string& detail = {}) {
    checks_.push_back({.model = model_,
                       .artifact = artifact_,
                       .engine = engine_,
                       .check = check,
                       .value = value,
                       .limit = limit,
                       .passed = value <= limit,
                       .detail = detail});
  }
  void fail(const std::string& check, const std::string& detail) { add(check, kNever, 0, detail); }
  void move_to(std::vector<Check>& all) { std::ranges::move(checks_, std::back_inserter(all)); }

 private:
  std::string model_, artifact_, engine_;
  std::vector<Check> checks_;
};

}  // namespace lunart
