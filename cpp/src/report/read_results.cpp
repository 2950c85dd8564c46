// Files of results: one, or one a line.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>

#include "io/input_file.hpp"
#include "io/text.hpp"
#include "lunart/error.hpp"
#include "lunart/report.hpp"
#include "report/parse_result.hpp"

namespace lunart {
namespace {

// Of one result: tens of times what the masks of every candidate of a large scan need.
constexpr std::size_t kLargestResult = std::size_t{256} << 20U;
// Of a file with many.
constexpr std::size_t kLargestFile = std::size_t{4} << 30U;

[[noreturn]] void fail(const std::string& what) {
  throw Error(Errc::data, what);
}

void require_at_most(std::size_t most, std::size_t bytes, const std::string& what) {
  if (bytes <= most) return;
  fail(what + " has " + std::to_string(bytes >> 20U) + " MB, and no more than " +
       std::to_string(most >> 20U) + " are read");
}

// The file piece by piece, each as long as asked for or up to the end.
class Text {
 public:
  explicit Text(const std::filesystem::path& path) : file_(path) {
    require_at_most(kLargestFile, file_.size(), name() + ": the file");
  }
  [[nodiscard]] const std::string& name() const { return file_.name(); }

  // The next line without its end; nothing after the last.
  std::optional<std::string> line() {
    std::size_t end = rest_.find('\n');
    while (end == std::string::npos && more()) end = rest_.find('\n', seen_);
    if (end == std::string::npos && rest_.empty()) return std::nullopt;
    std::string found = rest_.substr(0, end);
    rest_.erase(0, end == std::string::npos ? end : end + 1);
    seen_ = 0;
    return found;
  }
  // All that is left.
  std::string all() {
    while (more()) {
    }
    return std::move(rest_);
  }

 private:
  bool more() {
    constexpr std::size_t kPiece = std::size_t{1} << 20U;
    const std::size_t n = std::min(kPiece, static_cast<std::size_t>(file_.size()) - at_);
    if (n == 0) return false;
    seen_ = rest_.size();
    require_at_most(kLargestResult, seen_ + n, name() + ": a result");
    rest_.resize(seen_ + n);
    file_.read(at_, std::as_writable_bytes(std::span(rest_).subspan(seen_)));
    at_ += n;
    return true;
  }

  InputFile file_;
  std::string rest_;    // read and not yet handed out
  std::size_t seen_{};  // of it, without an end of line
  std::size_t at_{};    // in the file
};

class Reading {
 public:
  explicit Reading(const std::filesystem::path& path) : text_(path) {}

  std::vector<Result> run() {
    std::optional<std::string> line = next();
    if (!line) fail(text_.name() + ": is empty, and so no result");
    if (!nlohmann::json::accept(*line)) {
      add(*line + "\n" + text_.all(), text_.name());
      return std::move(results_);
    }
    for (; line; line = next()) add(*line, text_.name() + ", line " + std::to_string(number_));
    return std::move(results_);
  }

 private:
  // That holds anything.
  std::optional<std::string> next() {
    std::optional<std::string> line;
    do {
      line = text_.line();
      ++number_;
    } while (line && trimmed(*line).empty());
    return line;
  }

  void add(const std::string& document, const std::string& where) {
    try {
      results_.push_back(parse_result(document));
    } catch (const Error& error) {
      fail(where + ": " + error.what());
    }
  }

  Text text_;
  std::size_t number_{};
  std::vector<Result> results_;
};

}  // namespace

std::vector<Result> read_results(const std::filesystem::path& path) {
  try {
    return Reading(path).run();
  } catch (const Error& error) {
    // The file itself, too: what the reader of scans calls a scan is none.
    fail(error.what());
  }
}

}  // namespace lunart
