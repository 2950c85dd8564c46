// The public readers: a scan by its extension.
#include <string>
#include <system_error>

#include "io/metaimage.hpp"
#include "io/metaimage_data.hpp"
#include "io/metaimage_header.hpp"
#include "io/text.hpp"
#include "lunart/error.hpp"
#include "lunart/image.hpp"
#include "lunart/volume.hpp"

namespace lunart {
namespace {

constexpr const char* kConversion =
    "lunart reads MetaImage (.mhd, .mha); convert DICOM folders, NIfTI and NRRD first, e.g. with "
    "SimpleITK: sitk.WriteImage(sitk.ReadImage(files), 'scan.mhd')";

void require_metaimage(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  const std::string name = shown(path);
  if (status.type() == std::filesystem::file_type::not_found) {
    throw Error(Errc::scan, name + ": no such file");
  }
  if (error) throw Error(Errc::scan, name + ": cannot be read: " + error.message());
  if (std::filesystem::is_directory(status)) {
    throw Error(Errc::scan, name + ": is a folder, not a scan; " + kConversion);
  }
  if (is_picture(path)) {
    throw Error(Errc::scan, name +
                                ": is a picture, not a scan: lunart.Classifier reads it, and "
                                "luna_infer with a bundle that classifies images (--bundle)");
  }
  const std::string extension = lower(path.extension().string());
  if (extension != ".mhd" && extension != ".mha") {
    throw Error(Errc::scan, name + ": the format " + in_quotes(extension) + " is not supported; " +
                                kConversion);
  }
}

}  // namespace

Volume read_scan(const std::filesystem::path& path, const Tick& tick) {
  require_metaimage(path);
  return read_metaimage(path, tick);
}

ScanHeader read_scan_header(const std::filesystem::path& path) {
  require_metaimage(path);
  MetaImageHeader header = read_metaimage_header(path);
  return {.geometry = header.geometry,
          .element_type = std::move(header.element_type),
          .compressed = header.is_compressed,
          .series_uid = std::move(header.series_uid)};
}

std::vector<std::filesystem::path> files_of_scan(const std::filesystem::path& path) {
  require_metaimage(path);
  std::vector<std::filesystem::path> files{path};
  for (DataPart& part : data_parts(read_metaimage_header(path))) {
    files.push_back(std::move(part.path));
  }
  return files;
}

}  // namespace lunart
