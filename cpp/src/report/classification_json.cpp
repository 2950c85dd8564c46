// lunart.classification/1: the one spelling of a classification for machines. Python parses it.
#include <nlohmann/json.hpp>

#include "lunart/classifier.hpp"
#include "report/json_parts.hpp"

namespace lunart {

std::string to_json(const Classification& c) {
  Json classes = Json::array();
  for (const ClassProbability& k : c.classes) {
    classes.push_back({{"name", k.name}, {"probability", k.probability}});
  }
  const ClassificationTimings& t = c.timings_s;
  const Json json{{"schema", "lunart.classification/1"},
                  {"image", {{"path", text_or_null(c.path)}, {"rows", c.rows}, {"cols", c.cols}}},
                  {"decoded_sha256", c.decoded_sha256},
                  {"bundle", {{"name", c.bundle_name}, {"sha256", c.bundle_sha256}}},
                  {"engine", json_of(c.engine)},
                  {"classes", classes},
                  {"timings_s",
                   {{"load", t.load},
                    {"read", t.read},
                    {"preprocess", t.preprocess},
                    {"classify", t.classify},
                    {"total", t.total}}},
                  {"peak_rss_mb", c.peak_rss_mb},
                  {"warnings", json_of(c.warnings)}};
  // A path may hold bytes that are no UTF-8.
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace lunart
