// liblunart_itk.so: which reader a path belongs to.
#include "itk/dicom_scan.hpp"
#include "itk/nifti.hpp"
#include "itk/nrrd.hpp"
#include "itk/scan_reader.hpp"

namespace lunart {
namespace {

namespace fs = std::filesystem;

class ItkReader final : public ScanReader {
 public:
  [[nodiscard]] Volume read(const fs::path& path, ScanFormat format, const ReadOptions& options,
                            const Tick& tick) const override {
    switch (format) {
      case ScanFormat::nrrd: return read_nrrd(path, tick);
      case ScanFormat::nifti: return read_nifti(path, tick);
      default: return read_dicom(path, options, tick);
    }
  }

  [[nodiscard]] ScanHeader header(const fs::path& path, ScanFormat format,
                                  const ReadOptions& options) const override {
    switch (format) {
      case ScanFormat::nrrd: return read_nrrd_scan_header(path);
      case ScanFormat::nifti: return read_nifti_scan_header(path);
      default: return read_dicom_header(path, options, {});
    }
  }

  [[nodiscard]] std::vector<fs::path> files(const fs::path& path,
                                            ScanFormat format) const override {
    return format == ScanFormat::nrrd ? files_of_nrrd(path) : std::vector{path};
  }

  [[nodiscard]] std::vector<dicom::Series> series(const fs::path& path) const override {
    return list_dicom_series(path, {});
  }
};

}  // namespace
}  // namespace lunart

extern "C" __attribute__((visibility("default"))) const lunart::ScanReader* lunart_scan_reader() {
  static const lunart::ItkReader reader;
  return &reader;
}
