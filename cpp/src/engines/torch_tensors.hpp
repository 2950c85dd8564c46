// What the engines over libtorch share: tensors of theirs and ours, and errors that say which
// engine and leave out libtorch's stack trace.
#pragma once

#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "lunart/error.hpp"
#include "lunart/network.hpp"

namespace lunart {

// No copy: valid as long as the view. Not to be written to.
inline at::Tensor to_torch(const TensorView& view) {
  // from_blob wants a mutable pointer; the networks have no in-place operation on their input.
  return at::from_blob(const_cast<float*>(view.data.data()),
                       at::IntArrayRef(view.shape.data(), view.shape.size()), at::kFloat);
}

// Channels last: what convolutions are fastest in.
inline at::MemoryFormat fast_layout(std::int64_t dimensions) {
  if (dimensions == 4) return at::MemoryFormat::ChannelsLast;
  if (dimensions == 5) return at::MemoryFormat::ChannelsLast3d;
  return at::MemoryFormat::Contiguous;
}

inline Tensor to_ours(const at::Tensor& tensor, const std::string& engine) {
  if (tensor.scalar_type() != at::kFloat) {
    throw Error(Errc::engine,
                engine + ": a tensor is " + c10::toString(tensor.scalar_type()) + ", not float32");
  }
  const at::Tensor flat = tensor.contiguous();
  const float* data = flat.const_data_ptr<float>();
  return {flat.sizes().vec(), {data, data + flat.numel()}};
}

// Calls `body`; what libtorch throws becomes Errc::engine beginning with `what`.
template <class Body>
auto as_engine_error(const std::string& what, const Body& body) {
  try {
    return body();
  } catch (const Error&) {
    throw;
  } catch (const c10::Error& error) {
    throw Error(Errc::engine, what + ": " + error.what_without_backtrace());
  } catch (const std::exception& error) {
    throw Error(Errc::engine, what + ": " + error.what());
  }
}

}  // namespace lunart
