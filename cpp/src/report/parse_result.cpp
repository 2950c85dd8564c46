// lunart.result/2 back from the text that json.cpp writes. A stored result is hostile: everything
// that a reader of a Result relies on is checked here.
#include "report/parse_result.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "io/text.hpp"
#include "lunart/error.hpp"
#include "report/json_parts.hpp"
#include "report/parse_json.hpp"

namespace lunart {
namespace {

constexpr double kCoordinate = 1e9;  // mm or voxels
constexpr double kSpan = 1e12;       // mm3, seconds, MB

[[noreturn]] void fail(const std::string& what) {
  throw Error(Errc::data, what);
}

Xyz xyz_of(const JsonField& f) {
  f.require_size(3);
  const auto at = [&](std::size_t k) { return f[k].number(-kCoordinate, kCoordinate); };
  return {at(0), at(1), at(2)};
}

Irc irc_of(const JsonField& f) {
  const Xyz v = xyz_of(f);
  return {v.x, v.y, v.z};
}

Geometry geometry_of(const JsonField& f) {
  const JsonField shape = f["shape_irc"];
  shape.require_size(3);
  const auto size = [&](std::size_t k) {
    return static_cast<std::int64_t>(shape[k].whole(1, std::uint64_t{1} << 31U));
  };
  Geometry g{.shape = {size(0), size(1), size(2)},
             .spacing = xyz_of(f["spacing_mm"]),
             .origin = xyz_of(f["origin_mm"])};
  const JsonField direction = f["direction"];
  direction.require_size(g.direction.size());
  for (std::size_t k = 0; k < g.direction.size(); ++k) g.direction[k] = direction[k].number();
  try {
    g.validate("scan");
  } catch (const Error& error) {
    fail(error.what());
  }
  return g;
}

std::string hex_of(const JsonField& f, std::size_t digits) {
  const std::string text = f.text();
  if (text.size() != digits || text.find_first_not_of("0123456789abcdef") != std::string::npos) {
    f.refuse(std::to_string(digits) + " hexadecimal digits");
  }
  return text;
}

std::uint32_t crc_of(const JsonField& f) {
  const std::string text = hex_of(f, 8);
  std::uint32_t crc{};
  std::from_chars(text.data(), text.data() + text.size(), crc, 16);
  return crc;
}

// "OFFSET:LENGTH OFFSET:LENGTH ...", rising, each within one row of the scan.
std::vector<MaskRun> runs_of(const JsonField& f, const Geometry& g) {
  const std::string text = f.text();
  const auto cols = static_cast<std::uint64_t>(g.shape.col);
  const auto voxels = static_cast<std::uint64_t>(g.voxel_count());
  std::vector<MaskRun> runs;
  const char* at = text.data();
  const char* const end = at + text.size();
  std::uint64_t free = 0;  // the first voxel after the runs so far
  const auto refuse = [&](const std::string& why) {
    f.refuse("runs OFFSET:LENGTH in the scan (" + why + " at run " +
             std::to_string(runs.size() + 1) + ")");
  };
  const auto number = [&](std::uint64_t& to) {
    const auto [stop, error] = std::from_chars(at, end, to);
    if (error != std::errc{} || (*at == '0' && stop != at + 1)) refuse("no plain number");
    at = stop;
  };
  while (true) {
    MaskRun run;
    number(run.offset);
    if (at == end || *at != ':') refuse("no colon");
    ++at;
    number(run.length);
    if (run.length == 0) refuse("an empty run");
    if (run.offset < free) refuse("one that does not rise");
    if (run.offset >= voxels || run.length > cols - run.offset % cols) {
      refuse("one beyond the end of its row or the scan");
    }
    free = run.offset + run.length;
    runs.push_back(run);
    if (at == end) return runs;
    if (*at != ' ') refuse("no blank after it");
    ++at;
  }
}

Finding finding_of(const JsonField& f, const Geometry& g) {
  Finding found;
  found.label = static_cast<std::uint32_t>(f["label"].whole(1, 0xFFFFFFFF));
  found.center_xyz_mm = xyz_of(f["center_xyz_mm"]);
  found.center_irc = irc_of(f["center_irc"]);
  const auto is_inside = [](double at, std::int64_t n) {
    return at >= -0.5 && at <= static_cast<double>(n) - 0.5;
  };
  const Irc& c = found.center_irc;
  if (!is_inside(c.index, g.shape.index) || !is_inside(c.row, g.shape.row) ||
      !is_inside(c.col, g.shape.col)) {
    f["center_irc"].refuse("a place in the scan");
  }
  // A place is written twice, and who believes one must not be led elsewhere by the other.
  const Xyz mm = g.to_xyz(c);
  const double off = std::hypot(mm.x - found.center_xyz_mm.x, mm.y - found.center_xyz_mm.y,
                                mm.z - found.center_xyz_mm.z);
  if (!(off <= 0.01)) f["center_xyz_mm"].refuse("the millimetres of center_irc");
  found.probability = f["probability"].number(0, 1);
  if (!f["malignancy"].is_null()) found.malignancy = f["malignancy"].number(0, 1);
  found.diameter_mm = f["diameter_mm"].positive(kCoordinate);
  found.volume_mm3 = f["volume_mm3"].positive(kSpan);
  found.voxels = f["voxels"].whole(1, g.voxel_count());
  found.mask_runs = runs_of(f["mask_runs"], g);
  return found;
}

std::vector<Finding> findings_of(const JsonField& f, const Geometry& g) {
  std::vector<Finding> findings;
  std::set<std::uint32_t> labels;
  for (std::size_t k = 0; k < f.size(); ++k) {
    findings.push_back(finding_of(f[k], g));
    if (!labels.insert(findings.back().label).second) {
      f[k]["label"].refuse("another label than the findings before it");
    }
  }
  return findings;
}

// No voxel belongs to two findings.
void require_apart(const std::vector<Finding>& findings, const char* list) {
  std::vector<MaskRun> all;
  for (const Finding& f : findings) {
    all.insert(all.end(), f.mask_runs.begin(), f.mask_runs.end());
  }
  std::ranges::sort(all, {}, &MaskRun::offset);
  for (std::size_t k = 1; k < all.size(); ++k) {
    if (all[k].offset >= all[k - 1].offset + all[k - 1].length) continue;
    fail(std::string(list) + ": voxel " + std::to_string(all[k].offset) +
         " is in the mask_runs of two findings");
  }
}

// Above the threshold, and as the candidates' list has them where there is one.
void require_nodules_of_candidates(const JsonField& list, const Result& r) {
  std::map<std::uint32_t, const Finding*> candidates;
  for (const Finding& c : r.candidates) candidates[c.label] = &c;
  for (std::size_t k = 0; k < r.nodules.size(); ++k) {
    const Finding& nodule = r.nodules[k];
    if (!(nodule.probability > r.threshold)) {
      list[k]["probability"].refuse("more than the threshold of " + text_of(r.threshold));
    }
    if (candidates.empty()) continue;
    const auto like = candidates.find(nodule.label);
    if (like == candidates.end() || like->second->mask_runs != nodule.mask_runs ||
        like->second->center_irc != nodule.center_irc) {
      list[k]["label"].refuse("that of the same candidate");
    }
  }
}

SliceProbabilities slices_of(const JsonField& f, const Geometry& g) {
  SliceProbabilities slices;
  slices.axis = static_cast<int>(f["axis"].whole(0, 2));
  const std::array<std::int64_t, 3> sizes{g.shape.index, g.shape.row, g.shape.col};
  const JsonField list = f["probability"];
  const auto count = static_cast<std::size_t>(sizes[static_cast<std::size_t>(slices.axis)]);
  list.require_size(count);
  slices.probability.reserve(count);
  for (std::size_t k = 0; k < count; ++k) slices.probability.push_back(list[k].number(0, 1));
  return slices;
}

EngineInfo engine_of(const JsonField& f) {
  return {.name = f["name"].text(),
          .version = f["version"].text(),
          .device = f["device"].one_of({"cpu"}),
          .precision = f["precision"].one_of({"f32", "bf16"}),
          .threads = static_cast<int>(f["threads"].whole(1, 1U << 20U))};
}

Timings timings_of(const JsonField& f) {
  const auto seconds = [&](const char* key) { return f[key].number(0, kSpan); };
  return {.load = seconds("load"),
          .read = seconds("read"),
          .region = seconds("region"),
          .segment = seconds("segment"),
          .group = seconds("group"),
          .classify = seconds("classify"),
          .malignancy = seconds("malignancy"),
          .total = seconds("total")};
}

std::vector<Warning> warnings_of(const JsonField& f) {
  std::vector<Warning> warnings;
  for (std::size_t k = 0; k < f.size(); ++k) {
    warnings.push_back({f[k]["code"].text(), f[k]["text"].text()});
  }
  return warnings;
}

void require_schema(const JsonField& f) {
  const JsonField schema = f["schema"];
  if (schema.is_null() || schema.text() != kResultSchema) {
    schema.refuse(std::string(kResultSchema) + ", which luna_infer --json writes");
  }
}

}  // namespace

Result parse_result(std::string_view text) {
  const nlohmann::json json = parse_bounded(text);
  const JsonField f(json, "");
  if (!json.is_object()) fail("is no object, and so no result");
  require_schema(f);
  const JsonField scan = f["scan"];
  Result r;
  r.path = scan["path"].text_or_empty();
  r.series_uid = scan["series_uid"].text_or_empty();
  r.geometry = geometry_of(scan);
  r.hu_crc32 = crc_of(scan["hu_crc32"]);
  r.bundle_name = f["bundle"]["name"].text();
  r.bundle_sha256 = hex_of(f["bundle"]["sha256"], 64);
  r.engine = engine_of(f["engine"]);
  r.threshold = f["threshold"].number(0, 1);
  r.nodules = findings_of(f["nodules"], r.geometry);
  r.candidate_count = f["candidate_count"].whole(r.nodules.size());
  if (f.has("candidates")) {
    const JsonField candidates = f["candidates"];
    candidates.require_size(r.candidate_count);
    r.candidates = findings_of(candidates, r.geometry);
    require_apart(r.candidates, "candidates");
  }
  require_apart(r.nodules, "nodules");
  require_nodules_of_candidates(f["nodules"], r);
  r.slices = slices_of(f["slices"], r.geometry);
  r.timings_s = timings_of(f["timings_s"]);
  r.peak_rss_mb = f["peak_rss_mb"].number(0, kSpan);
  r.warnings = warnings_of(f["warnings"]);
  return r;
}

}  // namespace lunart
