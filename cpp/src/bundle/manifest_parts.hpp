// The parts of a manifest that belong to one task.
#pragma once

#include "bundle/json_fields.hpp"
#include "bundle/manifest.hpp"

namespace lunart {

[[nodiscard]] PipelineSettings pipeline_of(const Json& at, const Json& segmentation);
[[nodiscard]] IntendedInput intended_of(const Json& at);
// `root` is the whole manifest: classes and preprocessing must fit the network's signature.
[[nodiscard]] ImageSettings images_of(const Json& root);

}  // namespace lunart
