// The public readers: a picture by its first bytes.
#include <algorithm>
#include <array>
#include <system_error>

#include "image/decode_jpeg.hpp"
#include "image/decode_png.hpp"
#include "image/png_file.hpp"
#include "io/input_file.hpp"
#include "io/text.hpp"
#include "lunart/error.hpp"
#include "lunart/image.hpp"
#include "stopwatch.hpp"

namespace lunart {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kLargestFile = std::uint64_t{1} << 29U;
constexpr std::array kScans{".mhd", ".mha", ".nii", ".nrrd", ".dcm"};

bool named(const fs::path& path, auto extensions) {
  return std::ranges::find(extensions, lower(path.extension().string())) != extensions.end();
}

std::vector<std::byte> content_of(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    throw Error(Errc::scan, shown(path) + ": is a folder, not a picture");
  }
  if (named(path, kScans)) {
    throw Error(Errc::scan, shown(path) +
                                ": is a scan, not a picture (PNG, JPEG): lunart.Runner reads it, "
                                "and luna_infer with a bundle of lung nodules (--bundle)");
  }
  const InputFile file(path);
  if (file.size() == 0) throw Error(Errc::scan, file.name() + ": is empty");
  if (file.size() > kLargestFile) {
    throw Error(Errc::scan, file.name() + ": has " + std::to_string(file.size()) +
                                " bytes; lunart reads pictures of up to " +
                                std::to_string(kLargestFile));
  }
  std::vector<std::byte> content(file.size());
  file.read(0, content);
  return content;
}

[[noreturn]] void refuse_format(const std::string& name) {
  throw Error(Errc::scan, name +
                              ": is neither PNG nor JPEG; convert it, or hand its pixels to "
                              "lunart.Classifier");
}

}  // namespace

Image read_image(const fs::path& path) {
  Stopwatch watch;
  const std::vector<std::byte> content = content_of(path);
  const std::string name = shown(path);
  Image image;
  if (is_png(content)) {
    image = decode_png(content, name);
  } else if (is_jpeg(content)) {
    image = decode_jpeg(content, name);
  } else {
    refuse_format(name);
  }
  image.path = path.string();
  image.read_s = watch.lap();
  return image;
}

ImageHeader read_image_header(const fs::path& path) {
  const std::vector<std::byte> content = content_of(path);
  const std::string name = shown(path);
  if (is_jpeg(content)) return read_jpeg_header(content, name);
  if (!is_png(content)) refuse_format(name);
  const PngFile png = parse_png(content, name);
  return {.rows = png.rows, .cols = png.cols, .format = png.format()};
}

bool is_picture(const fs::path& path) {
  constexpr std::array kPictures{".png", ".apng", ".jpg", ".jpeg", ".jpe",
                                 ".bmp", ".gif",  ".tif", ".tiff", ".webp"};
  if (named(path, kPictures)) return true;
  if (named(path, kScans)) return false;
  try {
    const InputFile file(path);
    std::vector<std::byte> begin(std::min<std::uint64_t>(file.size(), 8));
    file.read(0, begin);
    return is_png(begin) || is_jpeg(begin);
  } catch (const Error&) {
    return false;
  }
}

}  // namespace lunart
