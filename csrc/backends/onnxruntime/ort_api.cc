#include "backends/onnxruntime/ort_api.h"

#include <dlfcn.h>

#include <cstdlib>
#include <mutex>

#include "base/fork.h"
#include "base/library.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

constexpr const char* kEnvironment = "ZOO_ONNXRUNTIME_LIBRARY";
// Unless this is "1" when the library is opened, Linux builds from 1.32 on look up hosts, write to
// the home folder, and keep a thread for which a forked child waits forever at exit.
constexpr const char* kTelemetry = "ORT_DISABLE_TELEMETRY";
constexpr const char* kHint =
    "install it with pip install onnxruntime, or set ZOO_ONNXRUNTIME_LIBRARY to libonnxruntime.so";

struct Library {
  const OrtApiBase* base = nullptr;
  std::string path;
};

std::string find_ort_library() {
  const auto find = [](const std::string& name) {
    return find_library(kEnvironment, "onnxruntime/capi", name);
  };
  // Both wheels install into the same folder; the GPU wheel includes what the other one has.
  const std::string gpu = wheel_version("onnxruntime_gpu");
  const std::string path = gpu.empty() ? "" : find("libonnxruntime.so." + gpu);
  return path.empty() ? find("libonnxruntime.so") : path;
}

Library open_ort_library() {
  ::setenv(kTelemetry, "1", /*overwrite=*/1);
  const std::string path = find_ort_library();
  void* library = nullptr;
  if (!path.empty()) {
    library = open_library(path, /*global=*/false);
  } else {
    library = ::dlopen("libonnxruntime.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) library = ::dlopen("libonnxruntime.so", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
      throw BackendUnavailableError(std::string("ONNX Runtime is not installed: ") + kHint);
    }
  }
  const std::string name = path.empty() ? "libonnxruntime.so" : path;
  using GetApiBase = const OrtApiBase* (*)();
  return {reinterpret_cast<GetApiBase>(library_symbol(library, "OrtGetApiBase", name))(), name};
}

const Library& ort_library() {
  static std::mutex mutex;
  static auto* const opened = new Library;
  const ForkGuard guard;
  const std::lock_guard<std::mutex> lock(mutex);
  if (!opened->base) {
    const Library library = open_ort_library();
    const OrtApi* api = library.base->GetApi(ORT_API_VERSION);
    if (!api) {
      throw BackendUnavailableError(
          std::string("ONNX Runtime ") + library.base->GetVersionString() +
          " is too old: this build needs 1." + std::to_string(ORT_API_VERSION) + " or newer");
    }
    Ort::InitApi(api);
    *opened = library;
  }
  return *opened;
}

}  // namespace

const OrtApiBase* ort_api_base() { return ort_library().base; }

std::string ort_name() {
  const Library& library = ort_library();
  return std::string("ONNX Runtime ") + library.base->GetVersionString() + " (" + library.path +
         ")";
}

// Never destroyed, because static generators may have sessions until the process exits.
const Ort::Env& ort_environment() {
  static const Ort::Env* const environment = [] {
    auto* const created = new Ort::Env(ORT_LOGGING_LEVEL_ERROR, "zoo");
    created->DisableTelemetryEvents();
    return created;
  }();
  return *environment;
}

ONNXTensorElementDataType ort_element_type(TensorType type) {
  switch (type) {
    case TensorType::kFloat32:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
    case TensorType::kUint8:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8;
    case TensorType::kInt64:
      break;
  }
  return ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64;
}

namespace {

GraphTensor graph_tensor(Ort::AllocatedStringPtr name, const Ort::TypeInfo& type_info) {
  GraphTensor tensor{name.get(), std::nullopt, {}};
  if (type_info.GetONNXType() != ONNX_TYPE_TENSOR) return tensor;
  const auto info = type_info.GetTensorTypeAndShapeInfo();
  for (const TensorType type : {TensorType::kFloat32, TensorType::kUint8, TensorType::kInt64}) {
    if (info.GetElementType() == ort_element_type(type)) tensor.type = type;
  }
  tensor.shape = info.GetShape();
  return tensor;
}

}  // namespace

GraphNoise find_noise(const Ort::Session& session, const std::string& path,
                      const Manifest& manifest) {
  Ort::AllocatorWithDefaultOptions allocator;
  std::vector<GraphTensor> inputs;
  std::vector<GraphTensor> outputs;
  GraphNoise noise;
  for (size_t i = 0; i < session.GetInputCount(); ++i) {
    inputs.push_back(
        graph_tensor(session.GetInputNameAllocated(i, allocator), session.GetInputTypeInfo(i)));
    if (inputs.back().name != io::kSeed) continue;
    noise.draws = true;
    noise.row_keys = inputs.back().shape == std::vector<int64_t>{-1};
  }
  for (size_t i = 0; i < session.GetOutputCount(); ++i) {
    outputs.push_back(
        graph_tensor(session.GetOutputNameAllocated(i, allocator), session.GetOutputTypeInfo(i)));
  }
  check_tensors(path, manifest, noise.draws, inputs, outputs);
  return noise;
}

}  // namespace zoo
