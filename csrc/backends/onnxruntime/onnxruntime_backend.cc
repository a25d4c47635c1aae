#include "backends/onnxruntime/onnxruntime_backend.h"

#include <dlfcn.h>

#include <mutex>
#include <set>

#include "backends/library.h"
#include "backends/onnxruntime/ort_api.h"
#include "backends/tensors.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

constexpr const char* kEnvironment = "ZOO_ONNXRUNTIME_LIBRARY";
constexpr const char* kHint =
    "install it with pip install onnxruntime, or set ZOO_ONNXRUNTIME_LIBRARY to libonnxruntime.so";

std::string find_onnxruntime() {
  return find_library(kEnvironment, "onnxruntime/capi", "libonnxruntime.so");
}

const OrtApiBase* open_api_base() {
  const std::string path = find_onnxruntime();
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
  return reinterpret_cast<GetApiBase>(library_symbol(library, "OrtGetApiBase", name))();
}

const OrtApiBase* api_base() {
  static std::mutex mutex;
  static const OrtApiBase* base = nullptr;
  const std::lock_guard<std::mutex> lock(mutex);
  if (!base) {
    const OrtApiBase* found = open_api_base();
    const OrtApi* api = found->GetApi(ORT_API_VERSION);
    if (!api) {
      throw BackendUnavailableError(std::string("ONNX Runtime ") + found->GetVersionString() +
                                    " is too old: this build needs 1." +
                                    std::to_string(ORT_API_VERSION) + " or newer");
    }
    Ort::InitApi(api);
    base = found;
  }
  return base;
}

// Never destroyed: sessions of a static generator may outlive any order of exit.
const Ort::Env& environment() {
  static const Ort::Env* const env = new Ort::Env(ORT_LOGGING_LEVEL_ERROR, "zoo");
  return *env;
}

ONNXTensorElementDataType element_type(TensorType type) {
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

class OnnxRuntimeBackend : public Backend {
 public:
  explicit OnnxRuntimeBackend(const BackendConfig& config)
      : manifest_(*config.manifest),
        session_(open_session(config.path)),
        memory_(Ort::MemoryInfo::CreateCpu(OrtDeviceAllocator, OrtMemTypeDefault)) {
    Ort::AllocatorWithDefaultOptions allocator;
    std::set<std::string> inputs;
    std::set<std::string> outputs;
    for (size_t i = 0; i < session_.GetInputCount(); ++i) {
      inputs.insert(session_.GetInputNameAllocated(i, allocator).get());
    }
    for (size_t i = 0; i < session_.GetOutputCount(); ++i) {
      outputs.insert(session_.GetOutputNameAllocated(i, allocator).get());
    }
    // A graph without the noise operator takes the finished latent.
    const bool draws = inputs.count(io::kSeed) != 0;
    noise_from_ = draws ? NoiseFrom::kGraph : NoiseFrom::kCaller;
    check_names(config.path, manifest_, draws, inputs, outputs);
  }

  NoiseFrom noise_from() const override { return noise_from_; }
  bool fixed_batch() const override { return false; }
  void prepare(size_t) override {}

  void run(size_t, const RunArguments& arguments) override try {
    std::vector<const char*> input_names;
    std::vector<const char*> output_names;
    std::vector<Ort::Value> inputs;
    std::vector<Ort::Value> outputs;
    bind(arguments.inputs, arguments.rows, &input_names, &inputs);
    bind(arguments.outputs, arguments.rows, &output_names, &outputs);
    session_.Run(Ort::RunOptions{nullptr}, input_names.data(), inputs.data(), inputs.size(),
                 output_names.data(), outputs.data(), outputs.size());
  } catch (const Ort::Exception& error) {
    throw ExecutionError(std::string("ONNX Runtime: ") + error.what());
  }

 private:
  static Ort::Session open_session(const std::string& path) {
    Ort::SessionOptions options;
    // Parallelism comes from instances; one session serves them all and holds
    // the weights once.
    options.SetIntraOpNumThreads(1);
    options.SetInterOpNumThreads(1);
    options.SetGraphOptimizationLevel(ORT_ENABLE_ALL);
    options.Add(custom_op_domain());
    return Ort::Session(environment(), path.c_str(), options);
  }

  void bind(const std::vector<Binding>& bindings, size_t rows, std::vector<const char*>* names,
            std::vector<Ort::Value>* values) const {
    for (const Binding& binding : bindings) {
      const TensorInfo info = tensor_info(binding.name, manifest_, rows);
      names->push_back(binding.name.c_str());
      values->push_back(Ort::Value::CreateTensor(memory_, binding.data, info.bytes(),
                                                 info.shape.data(), info.shape.size(),
                                                 element_type(info.type)));
    }
  }

  const Manifest& manifest_;
  Ort::Session session_;
  Ort::MemoryInfo memory_;
  NoiseFrom noise_from_ = NoiseFrom::kCaller;
};

}  // namespace

bool onnxruntime_can(const std::string& precision) { return precision == "fp32"; }

std::string onnxruntime_version() { return api_base()->GetVersionString(); }

std::unique_ptr<Backend> make_onnxruntime(const BackendConfig& config) {
  if (!onnxruntime_can(config.precision)) {
    throw BackendUnavailableError("backend onnxruntime runs fp32 on the CPU, not " +
                                  config.precision + ": use backend='openvino' for bf16");
  }
  api_base();
  try {
    return std::make_unique<OnnxRuntimeBackend>(config);
  } catch (const Ort::Exception& error) {
    throw EngineFileError("ONNX Runtime cannot load '" + config.path + "': " + error.what());
  }
}

}  // namespace zoo
