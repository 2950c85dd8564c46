// Compiled models that an engine keeps between runs, in the user's cache folder
// ($XDG_CACHE_HOME/lunart, else $HOME/.cache/lunart). A blob is fed to an engine's importer, which
// trusts it, so it is used only from a folder that nobody else can write to, only under the key of
// exactly what made it, and only when it is the bytes that were kept. Without such a folder the
// cache finds nothing and keeps nothing: it saves time, it never decides a result.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lunart/result.hpp"

namespace lunart {

// Virtual, because an engine's module (liblunart_openvino.so) does not link liblunart.
class __attribute__((visibility("default"))) ModelCache {
 public:
  ModelCache() = default;
  ModelCache(const ModelCache&) = delete;
  ModelCache& operator=(const ModelCache&) = delete;
  virtual ~ModelCache() = default;

  // Names a blob: `model` is the artifact's content, `settings` everything else that it depends on
  // (the library, the processor, the precision).
  [[nodiscard]] virtual std::string key_of(std::string_view model,
                                           std::string_view settings) const = 0;
  // None where nothing was kept, or what was kept is damaged: that is removed, and warned about.
  [[nodiscard]] virtual std::optional<std::string> find(const std::string& key) = 0;
  // Never throws: what cannot be kept is warned about.
  virtual void keep(const std::string& key, std::string_view blob) = 0;
  // What the engine could not use after all.
  virtual void reject(const std::string& key, const std::string& why) = 0;
  [[nodiscard]] virtual std::vector<Warning> warnings() const = 0;
};

// The cache of one engine, in a folder of its name, which is made when it is first needed.
[[nodiscard]] std::unique_ptr<ModelCache> open_model_cache(const std::string& engine);

}  // namespace lunart
