#include "io/metaimage_write.hpp"

#include <array>
#include <bit>
#include <string>
#include <vector>

#include "io/atomic_file.hpp"
#include "io/deflate.hpp"
#include "io/element.hpp"
#include "io/text.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

template <class... Number>
std::string line(std::string_view key, Number... numbers) {
  std::string out(key);
  out += " =";
  ((out += " " + text_of(static_cast<double>(numbers))), ...);
  return out + "\n";
}

std::string header_text(const Geometry& g, std::string_view element_type, std::size_t compressed,
                        const std::string& data_file) {
  const std::array<double, 9>& d = g.direction;
  std::string out = "ObjectType = Image\nNDims = 3\nBinaryData = True\n";
  out += std::string("BinaryDataByteOrderMSB = ") +
         (std::endian::native == std::endian::big ? "True" : "False") + "\n";
  out += "CompressedData = True\nCompressedDataSize = " + std::to_string(compressed) + "\n";
  // One axis after another: the transpose of SimpleITK's GetDirection().
  out += line("TransformMatrix", d[0], d[3], d[6], d[1], d[4], d[7], d[2], d[5], d[8]);
  out += line("Offset", g.origin.x, g.origin.y, g.origin.z);
  out += line("CenterOfRotation", 0, 0, 0);
  out += "AnatomicalOrientation = RAI\n";  // what ITK and LUNA16 write; readers ignore it
  out += line("ElementSpacing", g.spacing.x, g.spacing.y, g.spacing.z);
  out += "DimSize = " + std::to_string(g.shape.col) + " " + std::to_string(g.shape.row) + " " +
         std::to_string(g.shape.index) + "\n";
  out += "ElementType = " + std::string(element_type) + "\n";
  return out + "ElementDataFile = " + data_file + "\n";
}

// MetaImage would take such a name for a pattern, a list, or cut its ends off.
bool is_plain_name(const std::string& name) {
  return name.find_first_of("%\r\n") == std::string::npos && !name.starts_with("LIST") &&
         name.find_first_of("=: \t") != 0 && lower(name) != "local";
}

}  // namespace

void write_metaimage(const std::filesystem::path& path, const Geometry& geometry,
                     std::string_view element_type, std::span<const std::byte> voxels,
                     const Tick& tick) {
  const std::string name = shown(path);
  const std::string extension = lower(path.extension().string());
  if (extension != ".mhd" && extension != ".mha") {
    throw Error(Errc::usage,
                name + ": a volume is written as .mhd or .mha, not " + in_quotes(extension));
  }
  geometry.validate(name.c_str());
  const auto element = element_of(element_type);
  if (!element || voxels.size() != geometry.voxel_count() * size_of(*element)) {
    throw Error(Errc::usage, name + ": " + std::to_string(voxels.size()) + " bytes are not " +
                                 std::to_string(geometry.voxel_count()) + " voxels of " +
                                 std::string(element_type));
  }
  const std::filesystem::path data_path = std::filesystem::path(path).replace_extension(".zraw");
  const std::string data_name = data_path.filename().string();
  if (extension == ".mhd" && !is_plain_name(data_name)) {
    throw Error(Errc::usage, name + ": a MetaImage header cannot name its data file " +
                                 in_quotes(data_name) + "; choose another name, or .mha");
  }

  if (extension == ".mha") {
    AtomicFile file(path);
    const std::vector<std::byte> data = deflated(voxels, tick);
    file.write(header_text(geometry, element_type, data.size(), "LOCAL"));
    file.write(data);
    file.commit();
    return;
  }
  AtomicFile header_file(path);  // both are opened first: no long work for a folder that is not
  AtomicFile data_file(data_path);
  const std::vector<std::byte> data = deflated(voxels, tick);
  data_file.write(data);
  header_file.write(header_text(geometry, element_type, data.size(), data_name));
  data_file.flush();
  header_file.flush();
  data_file.commit();
  header_file.commit();
}

}  // namespace lunart
