// Opens plans with TensorRT's C++ API, as runtime/plans.py does with its Python module. This source
// is compiled into libzoo_tensorrt.so with the headers of TensorRT, and into libzoo_tensorrt_rtx.so
// with those of TensorRT for RTX. Neither is linked: tensorrt_loader.cc opens what is installed.

#include <NvInferRuntime.h>
#include <dlfcn.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "backends/tensorrt/tensorrt_loader.h"
#include "backends/tensorrt/tensorrt_log.h"
#include "format/file_contents.h"
#include "zoo/errors.h"
#include "zoo_interfaces.h"

namespace zoo::tensorrt {
namespace {

constexpr int32_t kHeaders = NV_TENSORRT_VERSION;

using CreateRuntime = void* (*)(void* logger, int32_t version) noexcept;
using Number = int32_t (*)() noexcept;

// Formats a version number of TensorRT: 10.14.1 is 101401, and up to version 8, 8.6.1 is 8601.
std::string version_name(int32_t number) {
  const int32_t unit = number < 10000 ? 10 : 100;
  return std::to_string(number / (100 * unit)) + "." + std::to_string(number / 100 % unit) + "." +
         std::to_string(number % 100);
}

// is_compatible: returns true if a library of that version has the virtual function tables of the
// headers.
#ifdef TRT_MAJOR_RTX
constexpr const char* kTitle = "TensorRT for RTX";

// The tables changed between 1.4 and 1.7.
bool is_compatible(int32_t version) { return version / 100 == kHeaders / 100; }
std::string compatible_versions() {
  return std::to_string(NV_TENSORRT_MAJOR) + "." + std::to_string(NV_TENSORRT_MINOR);
}
#else
constexpr const char* kTitle = "TensorRT";

// The first version with all functions used here (IExecutionContext::setDeviceMemoryV2).
constexpr int32_t kOldest = 100100;

// The tables only grow within a major version.
bool is_compatible(int32_t version) {
  return version / 10000 == NV_TENSORRT_MAJOR && version >= kOldest;
}
std::string compatible_versions() {
  return std::to_string(NV_TENSORRT_MAJOR) + " (" + version_name(kOldest) + " or newer)";
}
#endif

int32_t version_number(void* library) {
  const auto call = reinterpret_cast<Number>(::dlsym(library, "getInferLibVersion"));
  return call ? call() : 0;
}

// Version with the build number if the library reports it: 10.14.1.48.
std::string full_version(void* library) {
  std::string name = version_name(version_number(library));
  const auto build = reinterpret_cast<Number>(::dlsym(library, "getInferLibBuildVersion"));
  return build ? name + "." + std::to_string(build()) : name;
}

// Compares versions of which one may have fewer components, or end in ".post1" as in wheels.
bool same_version(const std::string& a, const std::string& b) {
  const std::string& shorter = a.size() < b.size() ? a : b;
  const std::string& longer = a.size() < b.size() ? b : a;
  return longer.compare(0, shorter.size(), shorter) == 0 &&
         (longer.size() == shorter.size() || longer[shorter.size()] == '.');
}

// Never destroyed, because TensorRT may use it until the process exits.
Log& shared_log() {
  static auto* const log = new Log;
  return *log;
}

// TensorRT's library and runtime. There is one per process, which outlives all engines.
struct Runtime {
  void* library = nullptr;
  std::string version;
  nvinfer1::IRuntime* runtime = nullptr;

  [[noreturn]] void fail(const std::string& what) const {
    const std::string text =
        std::string(kTitle) + " " + version + " " + what + ": " + shared_log().first_error();
    if (is_out_of_memory(text)) throw OutOfMemoryError(text);
    throw ExecutionError(text);
  }

  static bool is_out_of_memory(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    for (const char* words : {"out of memory", "outofmemory", "cudaerrormemoryallocation"}) {
      if (text.find(words) != std::string::npos) return true;
    }
    return false;
  }
};

// On failure, TensorRT 10.16 casts a null pointer to a base class, and so returns a small number.
bool is_object(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) >= 4096; }

const Runtime& shared_runtime(void* library) {
  static std::mutex mutex;
  static Runtime* shared = nullptr;
  const std::lock_guard<std::mutex> lock(mutex);
  if (shared) return *shared;
  auto fresh = std::make_unique<Runtime>();
  fresh->library = library;
  fresh->version = full_version(library);
  const auto create =
      reinterpret_cast<CreateRuntime>(::dlsym(library, "createInferRuntime_INTERNAL"));
  const auto call = shared_log().begin();
  void* const runtime = create(&shared_log(), kHeaders);
  if (!is_object(runtime)) fresh->fail("cannot create a runtime");
  fresh->runtime = static_cast<nvinfer1::IRuntime*>(runtime);
  // As in runtime/plans.py: plans that are compatible with later versions contain host code.
  const char* const host_code = std::getenv("ZOO_TENSORRT_HOST_CODE");
  if (host_code && std::string(host_code) == "1") fresh->runtime->setEngineHostCodeAllowed(true);
  shared = fresh.release();
  return *shared;
}

struct Input {
  std::string name;
  nvinfer1::Dims shape;  // -1 for the batch
};

// Name of a type as in manifests, or its number for types that our plans do not have.
std::string type_name(nvinfer1::DataType type) {
  switch (type) {
    case nvinfer1::DataType::kFLOAT:
      return "float32";
    case nvinfer1::DataType::kUINT8:
      return "uint8";
    case nvinfer1::DataType::kINT64:
      return "int64";
    default:
      return "type " + std::to_string(static_cast<int>(type));
  }
}

std::string describe(const nvinfer1::Dims& shape) {
  std::string text;
  for (int axis = 0; axis < shape.nbDims; ++axis) {
    text += (axis ? ", " : "") + std::to_string(shape.d[axis]);
  }
  return "[" + text + "]";
}

class Context : public PlanContext {
 public:
  Context(const Runtime& runtime, nvinfer1::ICudaEngine* engine, const std::vector<Input>& inputs,
          size_t profile, size_t rows, cudaStream_t stream)
      : runtime_(runtime) {
    const auto call = shared_log().begin();
    context_.reset(engine->createExecutionContext(
        nvinfer1::ExecutionContextAllocationStrategy::kUSER_MANAGED));
    if (!context_) runtime_.fail("cannot create an execution context");
    if (!context_->setOptimizationProfileAsync(static_cast<int32_t>(profile), stream)) {
      runtime_.fail("cannot select profile " + std::to_string(profile));
    }
    for (const Input& input : inputs) {
      nvinfer1::Dims shape = input.shape;
      for (int axis = 0; axis < shape.nbDims; ++axis) {
        if (shape.d[axis] < 0) shape.d[axis] = static_cast<int64_t>(rows);
      }
      if (!context_->setInputShape(input.name.c_str(), shape)) {
        runtime_.fail("does not accept shape " + describe(shape) + " for '" + input.name + "'");
      }
    }
    scratch_bytes_ = context_->updateDeviceMemorySizeForShapes();
  }

  size_t scratch_bytes() const override { return scratch_bytes_; }

  void bind(const std::vector<Binding>& tensors, void* scratch, size_t bytes) override {
    const auto call = shared_log().begin();
    for (const Binding& tensor : tensors) {
      if (!context_->setTensorAddress(tensor.name.c_str(), tensor.data)) {
        runtime_.fail("does not accept the address of '" + tensor.name + "'");
      }
    }
    if (bytes != 0) context_->setDeviceMemoryV2(scratch, static_cast<int64_t>(bytes));
  }

  void enqueue(void* stream) override {
    const auto call = shared_log().begin();
    if (!context_->enqueueV3(static_cast<cudaStream_t>(stream)))
      runtime_.fail("cannot run the plan");
  }

 private:
  const Runtime& runtime_;
  std::unique_ptr<nvinfer1::IExecutionContext> context_;
  size_t scratch_bytes_ = 0;
};

class Engine : public PlanEngine {
 public:
  Engine(const Runtime& runtime, const std::string& path, const PlanDescription& plan)
      : runtime_(runtime) {
    const FileContents file(path);
    const auto call = shared_log().begin();
    engine_.reset(runtime.runtime->deserializeCudaEngine(file.text().data(), file.text().size()));
    if (!engine_) fail_to_open(path, plan);
    for (int32_t index = 0; index < engine_->getNbIOTensors(); ++index) {
      const char* const name = engine_->getIOTensorName(index);
      const nvinfer1::Dims shape = engine_->getTensorShape(name);
      if (engine_->getTensorIOMode(name) == nvinfer1::TensorIOMode::kINPUT) {
        inputs_.push_back({name, shape});
      }
      PlanTensor tensor;
      tensor.name = name;
      tensor.type = type_name(engine_->getTensorDataType(name));
      tensor.shape.assign(shape.d, shape.d + std::max(0, shape.nbDims));
      tensors_.push_back(std::move(tensor));
    }
  }

  std::vector<PlanTensor> tensors() const override { return tensors_; }

  std::unique_ptr<PlanContext> context(size_t profile, size_t rows, void* stream) override {
    return std::make_unique<Context>(runtime_, engine_.get(), inputs_, profile, rows,
                                     static_cast<cudaStream_t>(stream));
  }

 private:
  [[noreturn]] void fail_to_open(const std::string& path, const PlanDescription& plan) const {
    try {
      runtime_.fail("cannot open '" + path + "'");
    } catch (const OutOfMemoryError&) {
      throw;
    } catch (const ExecutionError& failure) {
      if (same_version(plan.tensorrt, runtime_.version)) throw EngineFileError(failure.what());
      throw BackendUnavailableError(
          "'" + path + "' was built by " + plan.target + " " + plan.tensorrt + ", but " +
          runtime_.version + " is installed; build it again: python -m export ENGINE.onnx" +
          " --out " + path + " --target " + plan.target + " (" + failure.what() + ")");
    }
  }

  const Runtime& runtime_;
  std::unique_ptr<nvinfer1::ICudaEngine> engine_;
  std::vector<Input> inputs_;
  std::vector<PlanTensor> tensors_;
};

void check(void* library, const std::string& library_path) {
  for (const char* name : {"getInferLibVersion", "createInferRuntime_INTERNAL"}) {
    if (!::dlsym(library, name)) {
      throw BackendUnavailableError("'" + library_path + "' is not a library of " + kTitle +
                                    ": it has no symbol " + name);
    }
  }
  const int32_t version = version_number(library);
  if (is_compatible(version)) return;
  throw BackendUnavailableError(
      "'" + library_path + "' is " + kTitle + " " + version_name(version) +
      ", but this build of generator-zoo has the headers of " + version_name(kHeaders) +
      ": install " + kTitle + " " + compatible_versions() +
      ", or build generator-zoo again with the headers of the former");
}

std::unique_ptr<PlanEngine> open(void* library, const std::string& path, const Manifest& manifest) {
  return std::make_unique<Engine>(shared_runtime(library), path, manifest.plan);
}

}  // namespace
}  // namespace zoo::tensorrt

extern "C" ZOO_API const zoo::TensorRtEntry zoo_tensorrt_entry;
const zoo::TensorRtEntry zoo_tensorrt_entry = {zoo::kTensorRtInterface, NV_TENSORRT_MAJOR,
                                               zoo::tensorrt::check, zoo::tensorrt::open};
