// The public readers: a scan by its format. MetaImage is read here, everything else by the module
// that has the libraries for it.
#include <string>
#include <system_error>
#include <utility>

#include "io/itk_module.hpp"
#include "io/metaimage.hpp"
#include "io/metaimage_data.hpp"
#include "io/metaimage_header.hpp"
#include "io/scan_format.hpp"
#include "io/series_list.hpp"
#include "io/text.hpp"
#include "lunart/error.hpp"
#include "lunart/volume.hpp"

namespace lunart {
namespace {

namespace fs = std::filesystem;

const ScanReader& reader_of(const fs::path& path, ScanFormat format) {
  return open_itk_module(shown(path), name_of(format));
}

void require_no_options(const fs::path& path, ScanFormat format, const ReadOptions& options) {
  if (format == ScanFormat::dicom || options == ReadOptions{}) return;
  throw Error(Errc::usage, shown(path) +
                               ": is no DICOM series; a series and what to do with gaps, "
                               "tilt and duplicates are chosen for those");
}

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    files.push_back(it->path());
  }
  return files;
}

}  // namespace

Volume read_scan(const fs::path& path, const ReadOptions& options, const Tick& tick) {
  const ScanFormat format = format_of_scan(path);
  require_no_options(path, format, options);
  if (format == ScanFormat::metaimage) return read_metaimage(path, tick);
  return reader_of(path, format).read(path, format, options, tick);
}

Volume read_scan(const fs::path& path, const Tick& tick) {
  return read_scan(path, ReadOptions{}, tick);
}

ScanHeader read_scan_header(const fs::path& path, const ReadOptions& options) {
  const ScanFormat format = format_of_scan(path);
  require_no_options(path, format, options);
  if (format != ScanFormat::metaimage) return reader_of(path, format).header(path, format, options);
  MetaImageHeader header = read_metaimage_header(path);
  return {.geometry = header.geometry,
          .element_type = std::move(header.element_type),
          .compressed = header.is_compressed,
          .series_uid = std::move(header.series_uid)};
}

std::vector<fs::path> files_of_scan(const fs::path& path) {
  const ScanFormat format = format_of_scan(path);
  std::error_code error;
  if (format == ScanFormat::dicom) {
    return fs::is_directory(path, error) ? files_in(path) : std::vector{path};
  }
  if (format != ScanFormat::metaimage) return reader_of(path, format).files(path, format);
  std::vector<fs::path> files{path};
  for (DataPart& part : data_parts(read_metaimage_header(path))) {
    files.push_back(std::move(part.path));
  }
  return files;
}

std::vector<dicom::Series> list_series(const fs::path& path) {
  const ScanFormat format = format_of_scan(path);
  if (format != ScanFormat::dicom) return {};
  return reader_of(path, format).series(path);
}

}  // namespace lunart
