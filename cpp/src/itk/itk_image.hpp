// What NRRD and NIfTI share: an ITK reader's header as ours, and its complaints as lunart::Error.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "lunart/geometry.hpp"

namespace itk {
class ImageIOBase;
}

namespace lunart {

class HuBuffer;

// Lets `io` read the header of `path`, and returns where its voxels are. Throws Errc::scan: what
// ITK refuses, another number of dimensions than three, more than one value a voxel, an invalid
// geometry.
[[nodiscard]] Geometry read_itk_header(itk::ImageIOBase& io, const std::filesystem::path& path);

// Runs `work`; what ITK throws becomes Errc::scan about `name`, in a line.
void with_itk_errors(const std::string& name, const std::function<void()>& work);

// Throws Errc::scan when voxels were NaN or infinite, naming how many and the first one's place.
void refuse_not_finite(const std::string& name, const Geometry& geometry, const HuBuffer& hu);

}  // namespace lunart
