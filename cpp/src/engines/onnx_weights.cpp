#include "engines/onnx_weights.hpp"

#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "lunart/error.hpp"

namespace lunart {
namespace {

// Field numbers of onnx.proto.
constexpr std::uint64_t kModelGraph = 7;
constexpr std::uint64_t kGraphInitializer = 5;
constexpr std::uint64_t kTensorDims = 1;
constexpr std::uint64_t kTensorDataType = 2;
constexpr std::uint64_t kTensorFloatData = 4;
constexpr std::uint64_t kTensorName = 8;
constexpr std::uint64_t kTensorRawData = 9;
constexpr std::uint64_t kFloat = 1;  // TensorProto.DataType

// A float tensor of no more values, without a dot in its name, is a constant and no weight.
constexpr std::size_t kSmall = 8;

// One field of a message: a number, or bytes (a string, a message, packed numbers).
struct Field {
  std::uint64_t number{}, value{};
  std::optional<std::string_view> bytes;
};

// The fields of a message one after another (protobuf.dev, "Encoding").
class Message {
 public:
  explicit Message(std::string_view bytes) : rest_(bytes) {}

  [[nodiscard]] bool has_more() const { return !rest_.empty(); }

  Field next() {
    const std::uint64_t key = varint();
    Field field{.number = key >> 3, .value = 0, .bytes = {}};
    switch (key & 7) {
      case 0: field.value = varint(); break;
      case 1: field.bytes = take(8); break;
      case 2: field.bytes = take(varint()); break;
      case 5: field.bytes = take(4); break;
      default: throw std::runtime_error("a field of an unknown kind");
    }
    return field;
  }

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1).front());
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw std::runtime_error("a number that does not end");
  }

 private:
  std::string_view take(std::uint64_t count) {
    if (count > rest_.size()) throw std::runtime_error("it is cut off");
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }

  std::string_view rest_;
};

struct Named {
  std::string name;
  std::uint64_t type{};
  Tensor tensor;
};

void append_dims(const Field& field, std::vector<std::int64_t>& shape) {
  if (!field.bytes) {
    shape.push_back(static_cast<std::int64_t>(field.value));
    return;
  }
  for (Message packed(*field.bytes); packed.has_more();) {
    shape.push_back(static_cast<std::int64_t>(packed.varint()));
  }
}

// Little-endian float32, as this machine has them: raw, packed, or one a field.
void append_floats(std::string_view bytes, std::vector<float>& data) {
  if (bytes.size() % sizeof(float) != 0) throw std::runtime_error("a tensor is cut off");
  const std::size_t before = data.size();
  data.resize(before + bytes.size() / sizeof(float));
  if (!bytes.empty()) std::memcpy(data.data() + before, bytes.data(), bytes.size());
}

bool holds(const Tensor& tensor) {
  std::uint64_t count = 1;
  for (const std::int64_t size : tensor.shape) {
    if (size < 0 || __builtin_mul_overflow(count, static_cast<std::uint64_t>(size), &count)) {
      return false;
    }
  }
  return tensor.data.size() == count;
}

Named tensor_of(std::string_view bytes) {
  Named out;
  std::string_view raw;
  for (Message tensor(bytes); tensor.has_more();) {
    const Field field = tensor.next();
    if (field.number == kTensorDims) append_dims(field, out.tensor.shape);
    if (field.number == kTensorDataType) out.type = field.value;
    if (field.number == kTensorName) out.name = field.bytes.value_or("");
    if (field.number == kTensorRawData) raw = field.bytes.value_or("");
    if (field.number == kTensorFloatData) append_floats(field.bytes.value_or(""), out.tensor.data);
  }
  if (out.type != kFloat) return out;
  append_floats(raw, out.tensor.data);
  if (!holds(out.tensor)) throw std::runtime_error(out.name + " is not of its own shape");
  return out;
}

std::map<std::string, Tensor> weights_of(std::string_view model) {
  std::map<std::string, Tensor> weights;
  bool has_graph = false;
  for (Message m(model); m.has_more();) {
    const Field graph = m.next();
    if (graph.number != kModelGraph || !graph.bytes) continue;
    has_graph = true;
    for (Message g(*graph.bytes); g.has_more();) {
      const Field field = g.next();
      if (field.number != kGraphInitializer || !field.bytes) continue;
      Named named = tensor_of(*field.bytes);
      const bool is_weight =
          named.name.find('.') != std::string::npos || named.tensor.data.size() > kSmall;
      if (named.type == kFloat && is_weight) weights[named.name] = std::move(named.tensor);
    }
  }
  if (!has_graph) throw std::runtime_error("it holds no graph");
  return weights;
}

}  // namespace

std::map<std::string, Tensor> read_onnx_weights(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(Errc::engine, path.string() + ": cannot be read");
  const std::string content{std::istreambuf_iterator<char>(file), {}};
  try {
    return weights_of(content);
  } catch (const std::runtime_error& error) {
    throw Error(Errc::engine, path.string() + ": is no ONNX model that lunart exported (" +
                                  error.what() + "); export it again");
  }
}

}  // namespace lunart
