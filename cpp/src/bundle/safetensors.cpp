#include "bundle/safetensors.hpp"

#include <bit>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "lunart/error.hpp"

namespace lunart {
namespace {

static_assert(std::endian::native == std::endian::little);

Tensor tensor_of(const nlohmann::json& entry, std::string_view data) {
  Tensor tensor;
  tensor.shape = entry.at("shape").get<std::vector<std::int64_t>>();
  const auto offsets = entry.at("data_offsets").get<std::array<std::uint64_t, 2>>();
  if (offsets[0] > offsets[1] || offsets[1] > data.size()) {
    throw Error(Errc::bundle, "data_offsets lie outside the file");
  }
  // Divided, not multiplied, so that a hostile shape cannot overflow.
  std::uint64_t left = (offsets[1] - offsets[0]) / sizeof(float);
  const std::uint64_t count = left;
  for (const std::int64_t n : tensor.shape) {
    if (n < 1 || left % static_cast<std::uint64_t>(n) != 0) left = 0;
    if (n > 0) left /= static_cast<std::uint64_t>(n);
  }
  if (left != 1 || count * sizeof(float) != offsets[1] - offsets[0]) {
    throw Error(Errc::bundle, "a shape does not fit its data");
  }
  tensor.data.resize(count);
  std::memcpy(tensor.data.data(), data.data() + offsets[0], count * sizeof(float));
  return tensor;
}

}  // namespace

std::map<std::string, Tensor> read_safetensors(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(Errc::bundle, path.string() + ": cannot be opened");
  const std::string content{std::istreambuf_iterator<char>(file), {}};
  try {
    std::uint64_t length = 0;
    if (content.size() < sizeof length) throw Error(Errc::bundle, "shorter than its header");
    std::memcpy(&length, content.data(), sizeof length);
    const std::string_view rest = std::string_view(content).substr(sizeof length);
    if (length > rest.size()) throw Error(Errc::bundle, "shorter than its header");
    const auto header = nlohmann::json::parse(rest.substr(0, length));
    std::map<std::string, Tensor> tensors;
    std::size_t bytes = 0;
    for (const auto& [name, entry] : header.items()) {
      if (name == "__metadata__" || entry.at("dtype") != "F32") continue;
      const auto& added =
          tensors.emplace(name, tensor_of(entry, rest.substr(length))).first->second;
      // Tensors over the same bytes would make much of little.
      bytes += added.data.size() * sizeof(float);
      if (bytes > rest.size()) throw Error(Errc::bundle, "its tensors overlap");
    }
    return tensors;
  } catch (const std::exception& error) {
    throw Error(Errc::bundle, path.string() + ": is no valid safetensors file: " + error.what());
  }
}

}  // namespace lunart
