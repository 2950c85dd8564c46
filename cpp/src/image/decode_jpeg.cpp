#include "image/decode_jpeg.hpp"

#include "lunart/error.hpp"
#ifdef LUNART_WITH_JPEG
#include <dlfcn.h>

#include <csetjmp>
#include <cstdio>
// After cstdio: it uses FILE.
#include <jpeglib.h>
// After jpeglib.h: the codes of its messages.
#include <jerror.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>

#include "image/exif.hpp"
#include "image/limits.hpp"
#endif

namespace lunart {

bool is_jpeg(std::span<const std::byte> content) {
  return content.size() >= 3 && content[0] == std::byte{0xff} && content[1] == std::byte{0xd8} &&
         content[2] == std::byte{0xff};
}

#ifndef LUNART_WITH_JPEG

Image decode_jpeg(std::span<const std::byte>, const std::string& name) {
  throw Error(Errc::scan, name +
                              ": is a JPEG, and this build of lunart has no libjpeg: save it as "
                              "PNG, or hand its pixels to lunart.Classifier, or build lunart where "
                              "libjpeg's header is (apt-get install libjpeg-dev)");
}

ImageHeader read_jpeg_header(std::span<const std::byte> content, const std::string& name) {
  static_cast<void>(decode_jpeg(content, name));
  return {};
}

#else
namespace {

constexpr int kExifMarker = JPEG_APP0 + 1;
constexpr unsigned kLongestMarker = 0xffff;

struct Library {
  decltype(&jpeg_std_error) std_error;
  decltype(&jpeg_CreateDecompress) create;
  decltype(&jpeg_destroy_decompress) destroy;
  decltype(&jpeg_mem_src) mem_src;
  decltype(&jpeg_save_markers) save_markers;
  decltype(&jpeg_read_header) read_header;
  decltype(&jpeg_start_decompress) start;
  decltype(&jpeg_read_scanlines) read_scanlines;
  decltype(&jpeg_finish_decompress) finish;
};

// The file whose structures are those of the header that we were compiled with.
const char* file_name() {
  return JPEG_LIB_VERSION >= 80 ? "libjpeg.so.8" : "libjpeg.so.62";
}

const Library& library(const std::string& name) {
  static void* const handle = dlopen(file_name(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    throw Error(Errc::scan, name + ": is a JPEG, and this machine has no " + file_name() +
                                ": save it as PNG, or install libjpeg (apt-get install "
                                "libjpeg62-turbo)");
  }
  const auto symbol = [&]<class F>(F& function, const char* symbol_name) {
    function = reinterpret_cast<F>(dlsym(handle, symbol_name));
    if (function == nullptr) {
      throw Error(Errc::scan, name + ": is a JPEG, and " + file_name() + " has no " + symbol_name +
                                  ": install libjpeg again");
    }
  };
  static const Library found = [&] {
    Library l{};
    symbol(l.std_error, "jpeg_std_error");
    symbol(l.create, "jpeg_CreateDecompress");
    symbol(l.destroy, "jpeg_destroy_decompress");
    symbol(l.mem_src, "jpeg_mem_src");
    symbol(l.save_markers, "jpeg_save_markers");
    symbol(l.read_header, "jpeg_read_header");
    symbol(l.start, "jpeg_start_decompress");
    symbol(l.read_scanlines, "jpeg_read_scanlines");
    symbol(l.finish, "jpeg_finish_decompress");
    return l;
  }();
  return found;
}

// libjpeg reports by calling back, and must not return from an error. Throwing through its C frames
// is undefined, so an error jumps out to `step`, in which nothing has a destructor.
struct Decoder {
  jpeg_error_mgr errors{};  // first: libjpeg hands back a pointer to it
  std::jmp_buf out{};
  std::array<char, JMSG_LENGTH_MAX> message{};
  jpeg_progress_mgr progress{};
  jpeg_decompress_struct info{};
};

Decoder& decoder_of(j_common_ptr info) {
  return *reinterpret_cast<Decoder*>(info->err);
}

[[noreturn]] void leave(j_common_ptr info) {
  Decoder& decoder = decoder_of(info);
  info->err->format_message(info, decoder.message.data());
  std::longjmp(decoder.out, 1);  // NOLINT(cert-err52-cpp): see Decoder
}

// A warning is a file that is damaged or cut, from which libjpeg makes up pixels; these are not.
bool is_harmless(int code) {
  return code == JWRN_EXTRANEOUS_DATA || code == JWRN_ADOBE_XFORM || code == JWRN_JFIF_MAJOR;
}

void on_message(j_common_ptr info, int level) {
  if (level < 0 && !is_harmless(info->err->msg_code)) leave(info);
}

// A progressive file of some kilobytes can ask for thousands of passes over a large picture.
void on_progress(j_common_ptr info) {
  constexpr int kMostScans = 200;
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMostScans) return;
  Decoder& decoder = decoder_of(info);
  std::snprintf(decoder.message.data(), decoder.message.size(), "more than %d scans", kMostScans);
  std::longjmp(decoder.out, 1);  // NOLINT(cert-err52-cpp): see Decoder
}

using Step = void (*)(Decoder&, const Library&, void*);

bool step(Decoder& decoder, const Library& jpeg, Step call, void* with) {
  if (setjmp(decoder.out) != 0) return false;  // NOLINT(cert-err52-cpp): see Decoder
  call(decoder, jpeg, with);
  return true;
}

class Jpeg {
 public:
  Jpeg(std::span<const std::byte> content, const std::string& name)
      : jpeg_(library(name)), name_(name), content_(content) {
    decoder_->info.err = jpeg_.std_error(&decoder_->errors);
    decoder_->errors.error_exit = leave;
    decoder_->errors.emit_message = on_message;
    run(
        [](Decoder& d, const Library& jpeg, void* with) {
          const auto& bytes = *static_cast<std::span<const std::byte>*>(with);
          jpeg.create(&d.info, JPEG_LIB_VERSION, sizeof(d.info));
          d.progress.progress_monitor = on_progress;
          d.info.progress = &d.progress;
          jpeg.mem_src(&d.info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
          jpeg.save_markers(&d.info, kExifMarker, kLongestMarker);
          static_cast<void>(jpeg.read_header(&d.info, TRUE));
        },
        &content_);
    require_reasonable(info().image_height, info().image_width, name_);
    require_enough_data();
  }
  ~Jpeg() { jpeg_.destroy(&decoder_->info); }
  Jpeg(const Jpeg&) = delete;
  Jpeg& operator=(const Jpeg&) = delete;

  [[nodiscard]] const jpeg_decompress_struct& info() const { return decoder_->info; }

  [[nodiscard]] Image decode() {
    const bool grey = info().num_components == 1;
    if (!grey && info().num_components != 3) {
      throw Error(Errc::scan, name_ + ": is a JPEG of " + std::to_string(info().num_components) +
                                  " channels (CMYK?); convert it to RGB");
    }
    decoder_->info.out_color_space = grey ? JCS_GRAYSCALE : JCS_RGB;
    Image image{.rows = info().image_height, .cols = info().image_width};
    // Now: libjpeg forgets its markers with the last row.
    if (auto warning = orientation_warning(exif())) image.warnings.push_back(*warning);
    image.rgb.resize(static_cast<std::size_t>(3 * image.rows * image.cols));
    run(
        [](Decoder& d, const Library& jpeg, void* with) {
          auto* const rgb = static_cast<std::uint8_t*>(with);
          static_cast<void>(jpeg.start(&d.info));
          const std::size_t bytes = std::size_t{3} * d.info.output_width;
          while (d.info.output_scanline < d.info.output_height) {
            JSAMPROW row = rgb + d.info.output_scanline * bytes;
            static_cast<void>(jpeg.read_scanlines(&d.info, &row, 1));
            if (d.info.output_components == 1) repeat_grey(row, d.info.output_width);
          }
          static_cast<void>(jpeg.finish(&d.info));
        },
        image.rgb.data());
    return image;
  }

 private:
  // From the last pixel, so that none is overwritten before it is read.
  static void repeat_grey(std::uint8_t* row, std::size_t cols) {
    for (std::size_t c = cols; c-- > 0;) row[3 * c] = row[3 * c + 1] = row[3 * c + 2] = row[c];
  }

  // A Huffman code has a bit at least for each block of 8x8.
  void require_enough_data() const {
    constexpr std::uint64_t kPixelsAByte = 512;
    const std::uint64_t pixels = std::uint64_t{info().image_height} * info().image_width;
    if (info().arith_code != 0 || pixels / kPixelsAByte <= content_.size()) return;
    throw Error(Errc::scan, name_ + ": declares " + std::to_string(info().image_height) + "x" +
                                std::to_string(info().image_width) + " pixels, which its " +
                                std::to_string(content_.size()) + " bytes cannot hold");
  }

  // Without the name that such a marker begins with.
  [[nodiscard]] std::span<const std::byte> exif() const {
    constexpr std::string_view kName{"Exif\0\0", 6};
    for (jpeg_saved_marker_ptr m = info().marker_list; m != nullptr; m = m->next) {
      const std::span data(m->data, m->data_length);
      if (data.size() < kName.size() || !std::ranges::equal(data.first(kName.size()), kName)) {
        continue;
      }
      return std::as_bytes(data.subspan(kName.size()));
    }
    return {};
  }

  void run(Step call, void* with) {
    if (step(*decoder_, jpeg_, call, with)) return;
    const std::string what = decoder_->message.data();
    throw Error(Errc::scan, name_ + ": the JPEG is damaged or cut: " + what);
  }

  const Library& jpeg_;
  const std::string& name_;
  std::span<const std::byte> content_;
  std::unique_ptr<Decoder> decoder_{std::make_unique<Decoder>()};
};

}  // namespace

Image decode_jpeg(std::span<const std::byte> content, const std::string& name) {
  return Jpeg(content, name).decode();
}

ImageHeader read_jpeg_header(std::span<const std::byte> content, const std::string& name) {
  const Jpeg jpeg(content, name);
  const auto& info = jpeg.info();
  const std::string kind = info.num_components == 1 ? "grey" : "colour";
  return {.rows = info.image_height, .cols = info.image_width, .format = "JPEG, 8-bit " + kind};
}

#endif
}  // namespace lunart
