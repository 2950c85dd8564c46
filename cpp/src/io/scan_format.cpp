#include "io/scan_format.hpp"

#include <array>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>

#include "io/dicom_start.hpp"
#include "io/text.hpp"
#include "lunart/error.hpp"
#include "lunart/image.hpp"

namespace lunart {
namespace {

namespace fs = std::filesystem;

// A zip may hold DICOM.
bool may_be_dicom(const fs::path& path) {
  std::array<char, kDicomStart> head{};
  std::ifstream file(path, std::ios::binary);
  file.read(head.data(), head.size());
  const std::string_view text(head.data(), static_cast<std::size_t>(file.gcount()));
  return text.starts_with("PK") || has_dicom_preamble(text) || begins_with_element(text);
}

}  // namespace

ScanFormat format_of_scan(const fs::path& path) {
  std::error_code error;
  const auto status = fs::status(path, error);
  const std::string name = shown(path);
  if (status.type() == fs::file_type::not_found) {
    throw Error(Errc::scan, name + ": no such file");
  }
  if (error) throw Error(Errc::scan, name + ": cannot be read: " + error.message());
  if (fs::is_directory(status)) return ScanFormat::dicom;
  if (is_picture(path)) {
    throw Error(Errc::scan, name +
                                ": is a picture, not a scan: lunart.Classifier reads it, and "
                                "luna_infer with a bundle that classifies images (--bundle)");
  }
  const std::string extension = lower(path.extension().string());
  if (extension == ".mhd" || extension == ".mha") return ScanFormat::metaimage;
  if (extension == ".nrrd" || extension == ".nhdr") return ScanFormat::nrrd;
  const bool is_gzip = extension == ".gz";
  if (extension == ".nii" || (is_gzip && lower(path.stem().extension().string()) == ".nii")) {
    return ScanFormat::nifti;
  }
  if (fs::is_regular_file(status) && may_be_dicom(path)) return ScanFormat::dicom;
  throw Error(Errc::scan,
              name + ": the format " + in_quotes(extension) +
                  " is not supported; lunart reads MetaImage (.mhd, .mha), NRRD (.nrrd, .nhdr), "
                  "NIfTI (.nii, .nii.gz) and DICOM (a folder, a zip, a file)");
}

const char* name_of(ScanFormat format) noexcept {
  switch (format) {
    case ScanFormat::metaimage: return "MetaImage";
    case ScanFormat::nrrd: return "NRRD";
    case ScanFormat::nifti: return "NIfTI";
    case ScanFormat::dicom: break;
  }
  return "DICOM";
}

}  // namespace lunart
