#include "backends/registry.h"

#include "backends/native/native_backend.h"
#include "backends/onnxruntime/onnxruntime_backend.h"
#include "backends/openvino/openvino_loader.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

struct Entry {
  bool (*can)(const std::string& precision);
  std::string (*version)();
  std::unique_ptr<Backend> (*make)(const BackendConfig&);
};

Entry find(const std::string& name) {
  if (name == "onnxruntime") return {onnxruntime_can, onnxruntime_version, make_onnxruntime};
  if (name == "openvino") return {openvino_can, openvino_version, make_openvino};
  if (name == "native") return {native_can, native_version, make_native};
  throw ArgumentError("backend: expected auto, native, onnxruntime or openvino, got '" + name +
                      "'");
}

}  // namespace

const std::vector<std::string>& backend_names() {
  static const auto* const names =
      new std::vector<std::string>{"onnxruntime", "openvino", "native"};
  return *names;
}

bool backend_can(const std::string& name, const std::string& precision) {
  for (const auto& known : backend_names()) {
    // A manifest may name a backend of a newer version.
    if (known == name) return find(name).can(precision);
  }
  return false;
}

std::string backend_version(const std::string& name) { return find(name).version(); }

std::unique_ptr<Backend> make_backend(const std::string& name, const BackendConfig& config) {
  return find(name).make(config);
}

}  // namespace zoo
