#include "cli/options.hpp"

#include <getopt.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "io/text.hpp"
#include "lunart/report.hpp"

namespace lunart::cli {
namespace {

namespace fs = std::filesystem;

enum Letter : int {
  kBundle = 256,
  kEngine,
  kPrecision,
  kThreads,
  kRegion,
  kThreshold,
  kAllCandidates,
  kJson,
  kCsv,
  kMask,
  kRegionMask,
  kMarkups,
  kSeries,
  kOnGap,
  kOnTilt,
  kOnDuplicate,
  kProgress,
  kInfo,
  kEngines,
  kSelfcheck,
  kVersion,
  kHelp,
};

const std::array<option, 23> kOptions{{
    {"bundle", required_argument, nullptr, kBundle},
    {"engine", required_argument, nullptr, kEngine},
    {"precision", required_argument, nullptr, kPrecision},
    {"threads", required_argument, nullptr, kThreads},
    {"region", required_argument, nullptr, kRegion},
    {"threshold", required_argument, nullptr, kThreshold},
    {"all-candidates", no_argument, nullptr, kAllCandidates},
    {"json", required_argument, nullptr, kJson},
    {"csv", required_argument, nullptr, kCsv},
    {"mask", required_argument, nullptr, kMask},
    {"region-mask", required_argument, nullptr, kRegionMask},
    {"markups", required_argument, nullptr, kMarkups},
    {"series", required_argument, nullptr, kSeries},
    {"on-gap", required_argument, nullptr, kOnGap},
    {"on-tilt", required_argument, nullptr, kOnTilt},
    {"on-duplicate", required_argument, nullptr, kOnDuplicate},
    {"progress", required_argument, nullptr, kProgress},
    {"info", no_argument, nullptr, kInfo},
    {"engines", no_argument, nullptr, kEngines},
    {"selfcheck", no_argument, nullptr, kSelfcheck},
    {"version", no_argument, nullptr, kVersion},
    {"help", no_argument, nullptr, kHelp},
    {nullptr, 0, nullptr, 0},
}};

[[noreturn]] void misuse(const std::string& what) {
  throw Error(Errc::usage, what + "; see luna_infer --help");
}

template <class Number>
Number number_of(const char* name, const char* text, Number least, Number most) {
  Number value{};
  const char* end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, value);
  if (error != std::errc{} || stop != end || !(value >= least && value <= most)) {
    misuse(std::string("--") + name + " is \"" + text + "\"; expected a number from " +
           std::to_string(least) + " to " + std::to_string(most));
  }
  return value;
}

Region region_of(const std::string& text) {
  if (text == "lungs") return Region::lungs;
  if (text == "off") return Region::off;
  misuse("--region is \"" + text + "\"; expected lungs or off");
}

Precision precision_of(const std::string& text) {
  if (text == "f32") return Precision::f32;
  if (text == "bf16") return Precision::bf16;
  misuse("--precision is \"" + text + "\"; expected f32 or bf16");
}

ProgressStyle progress_of(const std::string& text) {
  if (text == "bar") return ProgressStyle::bar;
  if (text == "json") return ProgressStyle::json;
  if (text == "none") return ProgressStyle::none;
  misuse("--progress is \"" + text + "\"; expected bar, json or none");
}

// `refuse`, the default of each, or the way to mend the scan.
template <class Choice>
Choice choice_of(const char* name, const std::pair<const char*, Choice>& mend) {
  const std::string text = optarg;
  if (text == "refuse") return Choice::refuse;
  if (text == mend.first) return mend.second;
  misuse(std::string("--") + name + " is " + in_quotes(text) + "; expected refuse or " +
         mend.first);
}

void apply(int letter, Options& o) {
  switch (letter) {
    case kBundle: o.runner.bundle = optarg; break;
    case kEngine: o.runner.engine = optarg; break;
    case kPrecision: o.runner.precision = precision_of(optarg); break;
    case kThreads: o.runner.threads = number_of("threads", optarg, 1, 1024); break;
    case kRegion: o.runner.region = region_of(optarg); break;
    case kThreshold: o.runner.threshold = number_of("threshold", optarg, 0.0, 1.0); break;
    case kAllCandidates: o.all_candidates = true; break;
    case kJson: o.json = optarg; break;
    case kCsv: o.csv = optarg; break;
    case kMask: o.mask = optarg; break;
    case kRegionMask: o.region_mask = optarg; break;
    case kMarkups: o.markups = optarg; break;
    case kSeries: o.read.series = optarg; break;
    case kOnGap: o.read.on_gap = choice_of("on-gap", std::pair{"fill", OnGap::fill}); break;
    case kOnTilt:
      o.read.on_tilt = choice_of("on-tilt", std::pair{"resample", OnTilt::resample});
      break;
    case kOnDuplicate:
      o.read.on_duplicate = choice_of("on-duplicate", std::pair{"first", OnDuplicate::first});
      break;
    case kProgress: o.progress = progress_of(optarg); break;
    case kInfo: o.task = Task::info; break;
    case kEngines: o.task = Task::engines; break;
    case kSelfcheck: o.task = Task::selfcheck; break;
    case kVersion: o.task = Task::version; break;
    case kHelp: o.task = Task::help; break;
    default: misuse("an option is unknown or lacks its value");
  }
}

void note_if_of_scans(int letter, Options& o) {
  constexpr std::array kOfScans{kRegion, kThreshold,  kAllCandidates, kCsv,
                                kMask,   kRegionMask, kMarkups,       kSeries,
                                kOnGap,  kOnTilt,     kOnDuplicate};
  if (std::ranges::find(kOfScans, letter) == kOfScans.end()) return;
  const auto* const found = std::ranges::find(kOptions, letter, &option::val);
  o.of_scans.push_back(std::string("--") + found->name);
}

void check(const Options& o) {
  if (o.task == Task::infer && o.scans.empty()) misuse("no scan or picture is named");
  if (o.task == Task::selfcheck && !o.scans.empty()) {
    misuse("--selfcheck takes no scan or picture; it runs the bundle's own");
  }
  if (o.task == Task::engines && !o.scans.empty()) misuse("--engines takes no scan");
  if (o.task != Task::infer && (o.csv || o.mask || o.region_mask || o.markups)) {
    misuse("--csv, --mask, --region-mask and --markups need an inference");
  }
  if (o.scans.size() > 1 && (o.mask || o.region_mask || o.markups)) {
    misuse("--mask, --region-mask and --markups take one scan, not " +
           std::to_string(o.scans.size()));
  }
  if (o.scans.size() > 1 && !o.read.series.empty()) {
    misuse("--series takes one scan, not " + std::to_string(o.scans.size()));
  }
  if (o.json == "-" && o.csv == "-") misuse("--json and --csv cannot both go to standard output");
  for (const auto& [name, output] :
       {std::pair("--json", &o.json), std::pair("--csv", &o.csv), std::pair("--mask", &o.mask),
        std::pair("--region-mask", &o.region_mask), std::pair("--markups", &o.markups)}) {
    if (*output && (*output)->empty()) misuse(std::string(name) + " has no file name");
  }
  const auto file_or_stdout = [](const std::optional<std::string>& output) {
    return output.value_or("-") == "-" ? std::string() : *output;
  };
  try {
    check_outputs({.json = file_or_stdout(o.json),
                   .csv = file_or_stdout(o.csv),
                   .mask = o.mask.value_or(""),
                   .region_mask = o.region_mask.value_or(""),
                   .markups = o.markups.value_or("")},
                  o.scans, o.runner.bundle);
  } catch (const Error& error) {
    if (error.code() == Errc::usage) misuse(error.what());
    throw;
  }
}

// What getopt_long refused: it names a letter, and has just stepped over a word.
std::string refused_option(char** argv) {
  const bool is_letter = optopt > 0 && optopt < kBundle;
  return "option " + (is_letter ? std::string{'-', static_cast<char>(optopt)} : argv[optind - 1]);
}

fs::path default_bundle(const char* program) {
  fs::path bundle = RunnerOptions{}.bundle;
  std::error_code error;
  if (fs::exists(bundle, error)) return bundle;
  // Next to the link that was called, and next to the program itself.
  for (const fs::path& self : {fs::path(program), fs::read_symlink("/proc/self/exe", error)}) {
    const fs::path beside = self.parent_path() / bundle;
    if (self.has_parent_path() && fs::exists(beside, error)) return beside;
  }
  return bundle;
}

}  // namespace

Options parse(int argc, char** argv) {
  Options o;
  o.runner.bundle.clear();
  opterr = 0;
  while (true) {
    const int letter = getopt_long(argc, argv, ":", kOptions.data(), nullptr);
    if (letter == -1) break;
    if (letter == '?') misuse(refused_option(argv) + " is unknown or takes no value");
    if (letter == ':') misuse(refused_option(argv) + " needs a value");
    apply(letter, o);
    note_if_of_scans(letter, o);
  }
  for (int k = optind; k < argc; ++k) o.scans.emplace_back(argv[k]);
  if (o.task == Task::help || o.task == Task::version) return o;
  if (o.runner.bundle.empty()) o.runner.bundle = default_bundle(argv[0]);
  check(o);
  return o;
}

std::string help() {
  std::string text =
      R"(Finds lung nodules in CT scans, or says what a picture (.png, .jpg) shows, with the networks of
a bundle. A scan is MetaImage (.mhd, .mha); where this build has its ITK module also NRRD (.nrrd,
.nhdr), NIfTI (.nii, .nii.gz) and DICOM: a folder, searched with all its folders, a zip or a file.

luna_infer SCAN... [options]
luna_infer --bundle DIR PICTURE... [options]

  --bundle DIR         bundle to run [exported/luna here or next to the program]
  --engine NAME        auto, or an engine of those that --engines lists [auto]
  --precision f32|bf16 of the networks' arithmetic; bf16 is faster and coarser, where the
                       processor has it [f32]
  --threads N          threads to use [every processor this process may use]
  --region lungs|off   search the lungs, or whole slices as the book does [lungs]
  --threshold P        probability above which a candidate is a nodule [the bundle's]
  --all-candidates     report every candidate, not only the nodules
  --json FILE|-        result as lunart.result/2, of a picture as lunart.classification/1; one
                       object a line for several, and in a FILE.jsonl
  --csv FILE|-         result in LUNA16's submission form
  --mask FILE          label mask in the scan's geometry: .mhd, .mha, .nii or .nii.gz
  --region-mask FILE   lung region in the scan's geometry, likewise
  --markups FILE.mrk.json
                       nodules as points for 3D Slicer
  --series UID         DICOM series to read, where there are several; --info lists them
  --on-gap refuse|fill
                       DICOM slices that are missing or unevenly spaced: name them and stop, or
                       interpolate [refuse]
  --on-tilt refuse|resample
                       a tilted gantry: stop, or shift each slice to its place [refuse]
  --on-duplicate refuse|first
                       different slices at one place: name them and stop, or take the one with the
                       lowest instance number [refuse]
  --progress bar|json|none
                       progress with time left, on standard error [bar]
  --info               show what the scans or pictures and the bundle are, without inference
  --engines            list the engines: what runs here, its version, or why it does not
  --selfcheck          prove the bundle on this machine with its golden data
  --version            print the version
  --help               print this

A table goes to standard output unless "-" asks for JSON or CSV there. Pictures have no --region,
--threshold, --all-candidates, --csv, --mask, --region-mask, --markups, --series and --on-...
Environment: LUNART_ENGINE replaces --engine auto.

Exit codes: 0 done, with or without nodules
)";
  for (const Errc code : {Errc::usage, Errc::scan, Errc::bundle, Errc::engine, Errc::check,
                          Errc::output, Errc::data, Errc::interrupted, Errc::internal}) {
    text += "  " + std::to_string(exit_code(code)) + " " + std::string(sentence(code)) + "\n";
  }
  return text + "Research software, no medical device.\n";
}

}  // namespace lunart::cli
