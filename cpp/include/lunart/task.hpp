// What a bundle is for; it decides which class opens it.
#pragma once

#include <filesystem>

#include "lunart/export.hpp"

namespace lunart {

enum class BundleTask {
  lung_nodules,          // lunart::Runner
  image_classification,  // lunart::Classifier
};

// Reads the manifest and no other file. Throws Errc::bundle.
[[nodiscard]] LUNART_API BundleTask task_of(const std::filesystem::path& bundle);

}  // namespace lunart
