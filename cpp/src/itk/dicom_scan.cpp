#include "itk/dicom_scan.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "dicom/assemble.hpp"
#include "dicom/plan.hpp"
#include "io/text.hpp"
#include "itk/dicom_files.hpp"
#include "itk/dicom_pixels.hpp"
#include "itk/dicom_tags.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

namespace fs = std::filesystem;

struct Found {
  std::unique_ptr<DicomFiles> files;
  std::vector<dicom::Instance> instances;
  std::vector<std::size_t> file_of;  // of each instance
  std::vector<std::string> damaged;  // a sentence a file
};

Found find(const fs::path& path, const Tick& tick) {
  Found found{.files = open_dicom_files(path), .instances = {}, .file_of = {}, .damaged = {}};
  const std::vector<std::string>& names = found.files->names();
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (tick) tick();
    const std::unique_ptr<std::istream> stream = found.files->open(i);
    try {
      for (dicom::Instance& instance : read_tags(*stream, names[i])) {
        found.instances.push_back(std::move(instance));
        found.file_of.push_back(i);
      }
    } catch (const Error& error) {
      found.damaged.emplace_back(error.what());
    }
  }
  if (found.instances.empty()) {
    const std::string why = found.damaged.empty()
                                ? std::to_string(names.size()) + " files, none of them DICOM"
                                : found.damaged.front();
    throw Error(Errc::scan, shown(path) + ": holds no DICOM series (" + why + ")");
  }
  return found;
}

dicom::Plan plan_of(const Found& found, const fs::path& path, const ReadOptions& options) {
  return dicom::make_plan(found.instances, {.source = path.string(),
                                            .series = options.series,
                                            .on_gap = options.on_gap,
                                            .on_tilt = options.on_tilt,
                                            .on_duplicate = options.on_duplicate,
                                            .damaged = found.damaged});
}

// Pixels of slices; the file of the last one stays open, for a file may hold many.
class Frames {
 public:
  Frames(const Found& found, fs::path path) : found_(found), path_(std::move(path)) {}

  StoredPixels of(std::size_t instance) {
    const std::size_t file = found_.file_of.at(instance);
    if (!open_ || file != number_) {
      open_.reset();
      open_ = std::make_unique<PixelFile>(
          found_.files->open(file), shown(path_) + ": " + printable(found_.files->names()[file]));
      number_ = file;
    }
    return open_->frame(static_cast<std::size_t>(found_.instances[instance].frame));
  }

 private:
  const Found& found_;
  fs::path path_;
  std::unique_ptr<PixelFile> open_;
  std::size_t number_{};
};

}  // namespace

Volume read_dicom(const fs::path& path, const ReadOptions& options, const Tick& tick) {
  const Found found = find(path, tick);
  const dicom::Plan plan = plan_of(found, path, options);
  dicom::Assembler volume(plan);
  Frames frames(found, path);
  for (const dicom::PlannedSlice& slice : plan.slices) {
    if (tick) tick();
    volume.append(frames.of(slice.instance).pixels);
    for (const dicom::StoredSlice& twin : slice.twins) {
      volume.compare(frames.of(twin.instance).pixels);
    }
  }
  return std::move(volume).finish();
}

ScanHeader read_dicom_header(const fs::path& path, const ReadOptions& options, const Tick& tick) {
  const Found found = find(path, tick);
  const dicom::Plan plan = plan_of(found, path, options);
  constexpr dicom::Tag kTransferSyntax = 0x00020010;
  std::string syntax;
  if (!plan.slices.empty()) {
    const auto& tags = found.instances.at(plan.slices.front().instance).tags;
    if (const auto tag = tags.find(kTransferSyntax); tag != tags.end()) syntax = tag->second;
  }
  return {.geometry = plan.geometry,
          .element_type = "DICOM " + printable(syntax),
          .compressed = syntax.starts_with("1.2.840.10008.1.2.4") ||
                        syntax == "1.2.840.10008.1.2.5" || syntax == "1.2.840.10008.1.2.1.99",
          .series_uid = plan.series_uid};
}

std::vector<dicom::Series> list_dicom_series(const fs::path& path, const Tick& tick) {
  return dicom::series_of(find(path, tick).instances);
}

}  // namespace lunart
