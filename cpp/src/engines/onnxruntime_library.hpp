// Finding and opening ONNX Runtime's library, which nothing of ours links.
#pragma once

#include <filesystem>
#include <string>

struct OrtApi;

namespace lunart {

struct OnnxRuntimeLibrary {
  const OrtApi* api{};  // of the headers' version
  std::string version;  // of the library
};

// Opened once a process, from the first of these that is there: what LUNART_ONNXRUNTIME names (the
// library or its folder), the one already in this process, the pip package onnxruntime beside
// lunart, the lib folder beside the program, the system's. Throws Errc::engine with the way out
// when there is none, or it is older than the headers that lunart was built with.
[[nodiscard]] const OnnxRuntimeLibrary& onnxruntime_library();

}  // namespace lunart
