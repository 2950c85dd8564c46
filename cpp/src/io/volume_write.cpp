#include "io/volume_write.hpp"

#include <string>

#include "io/element.hpp"
#include "io/metaimage_write.hpp"
#include "io/nifti_write.hpp"
#include "io/text.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

enum class Format { none, metaimage, nifti };

// A name that is nothing but an extension is a hidden file's.
Format format_of(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  const auto is_a = [&](std::string_view extension) {
    return name.size() > extension.size() && name.ends_with(extension);
  };
  if (is_a(".mhd") || is_a(".mha")) return Format::metaimage;
  if (is_a(".nii") || is_a(".nii.gz")) return Format::nifti;
  return Format::none;
}

}  // namespace

bool is_volume_name(const std::filesystem::path& path) {
  return format_of(path) != Format::none;
}

void write_volume(const std::filesystem::path& path, const Geometry& geometry,
                  std::string_view element_type, std::span<const std::byte> voxels,
                  const Tick& tick) {
  switch (format_of(path)) {
    case Format::metaimage: return write_metaimage(path, geometry, element_type, voxels, tick);
    case Format::nifti: {
      const auto element = element_of(element_type);
      if (!element) {
        throw Error(Errc::usage, shown(path) + ": no such voxels: " + std::string(element_type));
      }
      return write_nifti(path, geometry, *element, voxels, tick);
    }
    case Format::none:
      throw Error(Errc::usage,
                  shown(path) + ": a volume is written as " + std::string(kVolumeExtensions));
  }
}

}  // namespace lunart
