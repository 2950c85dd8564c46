// luna_infer: the native program. Only here is the process ours to tune.
#include <malloc.h>

#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include "cli/classify.hpp"
#include "cli/info.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "cli/pending_scan.hpp"
#include "cli/progress.hpp"
#include "cli/vector_width.hpp"
#include "lunart/image.hpp"
#include "lunart/report.hpp"
#include "lunart/task.hpp"

namespace lunart::cli {
namespace {

// glibc returns large blocks to the kernel at once, so every activation would be mapped and faulted
// in anew at each layer: a third of the run time.
void keep_large_blocks() {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  mallopt(M_TOP_PAD, 64 << 20);
  mallopt(M_ARENA_MAX, 1);  // a thread's own arena maps large blocks whatever the threshold
}

// libtorch's threads (libgomp) spin while they wait for each other, which starves them as soon as
// anything else wants a core. Read by libgomp when it is loaded.
void wait_without_spinning() {
  setenv("OMP_WAIT_POLICY", "passive", 0);
}

// A reader that left and a file-size limit are failed writes with an exit code, not a signal that
// leaves temporary files behind.
void report_write_errors() {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

int find_nodules(const Options& o) {
  auto first = std::make_unique<PendingScan>(o.scans.front(), o.read);
  Runner runner(o.runner);
  watch_interrupts();
  const ReportOptions report{.all_candidates = o.all_candidates};
  std::string json;
  std::string csv = csv_header();
  int status = 0;
  std::optional<Error> stop;
  for (const auto& scan : o.scans) {
    try {
      const ProgressCallback progress = progress_of(o.progress);
      const auto begun = std::exchange(first, nullptr);
      const Result result =
          begun ? begun->run(runner, progress) : PendingScan(scan, o.read).run(runner, progress);
      if (o.mask) write_label_mask(*o.mask, result, report);
      if (o.region_mask) write_region_mask(*o.region_mask, result);
      if (o.markups) deliver(o.markups, to_markups(result, report) + "\n");
      const std::string text = to_json(result, report);
      json += (o.wants_json_lines() ? as_line(text) : text) + "\n";
      csv += to_csv(result, report);
      if (!o.standard_output_is_taken()) print(to_table(result, report));
    } catch (const Error& error) {
      // One bad scan among many must not lose the others, nor must what ends the run.
      if (o.scans.size() == 1 || error.code() != Errc::scan) {
        stop = error;
        break;
      }
      std::fprintf(stderr, "luna_infer: error: %s\n", error.what());
      if (status == 0) status = exit_code(error.code());
    } catch (const std::bad_alloc&) {
      stop = Error(Errc::internal, scan.string() + ": out of memory");
      break;
    }
  }
  if (!json.empty() || !stop) {
    deliver(o.json, json);
    deliver(o.csv, csv);
  }
  if (stop) throw *stop;
  return status;
}

int infer(const Options& o) {
  if (task_of(o.runner.bundle) == BundleTask::image_classification) return classify(o);
  for (const auto& scan : o.scans) {
    if (!is_picture(scan)) continue;
    throw Error(Errc::scan, scan.string() + ": is a picture, and " + o.runner.bundle.string() +
                                " finds nodules in CT scans; name a bundle that "
                                "classifies images with --bundle");
  }
  return find_nodules(o);
}

int check_bundle(const Options& o) {
  const std::vector<Check> checks = selfcheck(o.runner);
  watch_interrupts();
  if (!o.standard_output_is_taken()) print(text_of(checks));
  deliver(o.json, json_of(checks));
  for (const Check& check : checks) {
    if (!check.passed) return exit_code(Errc::check);
  }
  return 0;
}

int list_engines(const Options& o) {
  const std::vector<EngineStatus> all = engines();
  if (o.json) {
    deliver(o.json, json_of(all));
  } else {
    print(text_of(all));
  }
  return 0;
}

int run(int argc, char** argv) {
  const Options o = parse(argc, argv);
  choose_vector_width(o);
  switch (o.task) {
    case Task::help: print(help()); return 0;
    case Task::version: print("luna_infer " + std::string(version()) + "\n"); return 0;
    case Task::info:
      if (o.json) {
        deliver(o.json, describe(o, true));
      } else {
        print(describe(o, false));
      }
      return 0;
    case Task::engines: return list_engines(o);
    case Task::selfcheck: return check_bundle(o);
    case Task::infer: return infer(o);
  }
  return exit_code(Errc::internal);
}

int fail(Errc code, const char* what) {
  std::fprintf(stderr, "luna_infer: error: %s\n", what);
  return exit_code(code);
}

}  // namespace
}  // namespace lunart::cli

int main(int argc, char** argv) {
  using lunart::Errc;
  lunart::cli::keep_large_blocks();
  lunart::cli::wait_without_spinning();
  lunart::cli::report_write_errors();
  lunart::cli::stop_on_interrupt();
  try {
    return lunart::cli::run(argc, argv);
  } catch (const lunart::Error& error) {
    return lunart::cli::fail(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    return lunart::cli::fail(Errc::internal,
                             "out of memory; a smaller scan or --region lungs needs less");
  } catch (const std::exception& error) {
    return lunart::cli::fail(Errc::internal, error.what());
  }
}
