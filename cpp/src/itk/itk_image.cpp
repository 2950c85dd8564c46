#include "itk/itk_image.hpp"

#include <itkImageIOBase.h>
#include <itkObject.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>

#include "io/hu_buffer.hpp"
#include "io/text.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

// ITK's messages begin with a source line and "itk::ERROR: Class(address): ", and repeat the path.
std::string reason_in(const itk::ExceptionObject& error) {
  std::string_view text = error.GetDescription();
  if (const auto begin = text.find("): "); begin != std::string_view::npos) {
    text.remove_prefix(begin + 3);
  }
  // NRRD's library tells the whole way, the cause last.
  constexpr std::string_view kStep = "[nrrd] ";
  if (const auto last = text.rfind(kStep); last != std::string_view::npos) {
    text.remove_prefix(last + kStep.size());
    text.remove_prefix(std::min(text.find(": ") + 2, text.size()));
  }
  std::string line;
  for (const std::string_view word : words_of(text)) {
    if (!line.empty()) line += ' ';
    line += word;
  }
  return printable(line);
}

Geometry geometry_of(const itk::ImageIOBase& io) {
  Geometry g;
  g.shape = {.index = static_cast<std::int64_t>(io.GetDimensions(2)),
             .row = static_cast<std::int64_t>(io.GetDimensions(1)),
             .col = static_cast<std::int64_t>(io.GetDimensions(0))};
  g.origin = {.x = io.GetOrigin(0), .y = io.GetOrigin(1), .z = io.GetOrigin(2)};
  const std::array<double*, 3> mm{&g.spacing.x, &g.spacing.y, &g.spacing.z};
  for (unsigned axis = 0; axis < 3; ++axis) {
    // A negative spacing is a flipped axis, as in itkImageFileReader.hxx.
    const double spacing = io.GetSpacing(axis);
    const double sign = spacing < 0 ? -1 : 1;
    *mm.at(axis) = sign * spacing;
    const std::vector<double> along = io.GetDirection(axis);
    for (std::size_t i = 0; i < 3; ++i) {
      const double component = along.at(i);
      g.direction.at(3 * i + axis) = component == 0 ? 0 : sign * component;  // no minus zero
    }
  }
  return g;
}

}  // namespace

void with_itk_errors(const std::string& name, const std::function<void()>& work) {
  try {
    itk::Object::GlobalWarningDisplayOff();
    work();
  } catch (const itk::ExceptionObject& error) {
    throw Error(Errc::scan, name + ": cannot be read (" + reason_in(error) + ")");
  }
}

Geometry read_itk_header(itk::ImageIOBase& io, const std::filesystem::path& path) {
  const std::string name = shown(path);
  with_itk_errors(name, [&] {
    io.SetFileName(path.string());
    io.ReadImageInformation();
  });
  if (io.GetNumberOfComponents() != 1) {
    throw Error(Errc::scan, name + ": has " + std::to_string(io.GetNumberOfComponents()) +
                                " values a voxel; a CT has one channel");
  }
  if (io.GetNumberOfDimensions() != 3) {
    throw Error(Errc::scan, name + ": has " + std::to_string(io.GetNumberOfDimensions()) +
                                " dimensions; a scan has 3: save one volume");
  }
  const Geometry geometry = geometry_of(io);
  geometry.validate(name.c_str());
  return geometry;
}

void refuse_not_finite(const std::string& name, const Geometry& geometry, const HuBuffer& hu) {
  if (hu.not_finite() == 0) return;
  const auto col = static_cast<std::size_t>(geometry.shape.col);
  const auto slice = col * static_cast<std::size_t>(geometry.shape.row);
  const std::size_t at = hu.first_not_finite();
  throw Error(Errc::scan, name + ": " + std::to_string(hu.not_finite()) +
                              " voxels are NaN or infinite, the first at (index, row, col) = (" +
                              std::to_string(at / slice) + ", " + std::to_string(at % slice / col) +
                              ", " + std::to_string(at % col) + "); give them a HU, such as -1000");
}

}  // namespace lunart
