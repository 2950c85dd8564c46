#include "engines/native_code.hpp"

#include "engines/engine_module.hpp"
#include "engines/instruction_set.hpp"
#include "lunart/error.hpp"

namespace lunart {
namespace {

void require_made_for_this(const ArtifactEntry& artifact, const EngineInfo& engine) {
  if (!artifact.native_code) return;
  const NativeCode& code = *artifact.native_code;
  const std::string way_out =
      "; run luna-export on this machine, or use an engine that runs its other artifacts";
  if (release_of(code.torch) != release_of(engine.version)) {
    throw Error(Errc::engine, engine.name + ": " + artifact.file + " was compiled for torch " +
                                  code.torch + " and this is torch " + engine.version + way_out);
  }
  const std::string missing = missing_instructions(code.instruction_set);
  if (!missing.empty()) {
    throw Error(Errc::engine, engine.name + ": " + artifact.file + " was compiled for " +
                                  code.instruction_set + ", and this processor lacks " + missing +
                                  way_out);
  }
}

}  // namespace

Network load_artifact(Engine& engine, const Bundle& bundle, const ArtifactEntry& artifact) {
  require_made_for_this(artifact, engine.info());
  return engine.load(bundle.path_of(artifact));
}

}  // namespace lunart
