#include "engines/aotinductor_package.hpp"

#include <caffe2/serialize/inline_container.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <system_error>

#include "engines/torch_tensors.hpp"

namespace lunart {
namespace {

namespace fs = std::filesystem;

// As luna-export writes them (python/lunart/export/aotinductor.py).
constexpr const char* kCode = "data/aotinductor/model/model.so";
constexpr const char* kInput = "extra/input";

std::string record(caffe2::serialize::PyTorchStreamReader& reader, const std::string& name) {
  if (!reader.hasRecord(name)) {
    throw std::runtime_error("has no " + name + "; luna-export did not write it");
  }
  const auto [data, size] = reader.getRecord(name);
  return {static_cast<const char*>(data.get()), size};
}

std::vector<AxisRule> rules_of(const std::string& text) {
  std::vector<AxisRule> rules;
  std::istringstream words(text);
  for (AxisRule rule; words >> rule.least >> rule.most >> rule.step;) {
    if (rule.least < 1 || rule.most < rule.least || rule.step < 1) rules.clear();
    rules.push_back(rule);
  }
  if (rules.size() < 2) throw std::runtime_error(std::string(kInput) + " makes no sense: " + text);
  return rules;
}

std::string joined(std::span<const std::int64_t> shape) {
  std::string text;
  for (const std::int64_t size : shape) text += (text.empty() ? "" : "x") + std::to_string(size);
  return text;
}

[[noreturn]] void cannot_write(const fs::path& where, const std::string& why) {
  throw Error(Errc::engine, "aotinductor: its code cannot be unpacked in " + where.string() + ": " +
                                why + "; set TMPDIR to a folder that can be written to");
}

}  // namespace

AotinductorPackage read_package(const fs::path& path) {
  return as_engine_error(path.string() + ": no usable .pt2", [&] {
    caffe2::serialize::PyTorchStreamReader reader(path.string());
    return AotinductorPackage{record(reader, kCode), rules_of(record(reader, kInput))};
  });
}

void require_fits(const std::vector<AxisRule>& rules, std::span<const std::int64_t> shape) {
  const std::string input = "aotinductor: the input is " + joined(shape);
  if (shape.size() != rules.size()) {
    throw Error(Errc::engine,
                input + " and the network takes " + std::to_string(rules.size()) + " axes");
  }
  for (std::size_t axis = 0; axis < rules.size(); ++axis) {
    const AxisRule& rule = rules[axis];
    const std::int64_t size = shape[axis];
    if (size >= rule.least && size <= rule.most && size % rule.step == 0) continue;
    std::string allowed = std::to_string(rule.least);
    if (rule.most != rule.least) allowed += " to " + std::to_string(rule.most);
    if (rule.step != 1) allowed += " in multiples of " + std::to_string(rule.step);
    throw Error(Errc::engine, input + ": axis " + std::to_string(axis) + " has " +
                                  std::to_string(size) + ", the network takes " + allowed);
  }
}

CodeFile::CodeFile(const std::string& code) {
  std::error_code error;
  const fs::path parent = fs::temp_directory_path(error);
  if (error) {
    const char* named = std::getenv("TMPDIR");
    cannot_write(named == nullptr ? "/tmp" : named, error.message());
  }
  std::string folder = (parent / "lunart-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) cannot_write(parent, std::strerror(errno));
  folder_ = folder;
  std::ofstream file(path(), std::ios::binary);
  file.write(code.data(), static_cast<std::streamsize>(code.size()));
  file.close();
  if (!file) {
    const std::string why = std::strerror(errno);
    fs::remove_all(folder_, error);
    cannot_write(parent, why);
  }
}

CodeFile::~CodeFile() {
  std::error_code error;
  fs::remove_all(folder_, error);
}

}  // namespace lunart
