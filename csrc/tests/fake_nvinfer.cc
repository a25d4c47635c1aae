#include "tests/fake_nvinfer.h"

#include <NvInferRuntime.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/fake_nvinfer_network.h"
#include "tests/fake_nvinfer_table.h"
#include "tests/host_cuda.h"

namespace fake_nvinfer {
namespace {

using nvinfer1::Dims;
using nvinfer1::TensorIOMode;
namespace apiv = nvinfer1::apiv;

constexpr uintptr_t kAlignment = 256;
constexpr size_t kScratchPerRow = 1000;

// True if this call has to fail, whose reason is logged then.
bool fails(nvinfer1::ILogger* logger, const char* function) {
  const std::lock_guard<std::mutex> lock(state().mutex);
  const auto found = state().failures.find(function);
  if (found == state().failures.end()) return false;
  // As TensorRT does: a warning, the reason, and around it what says nothing.
  using Severity = nvinfer1::ILogger::Severity;
  logger->log(Severity::kWARNING, "a warning");
  logger->log(Severity::kINFO, "information");
  logger->log(Severity::kERROR, "Thread context has not been set");
  logger->log(Severity::kERROR, (std::string(function) + ":\n  " + found->second).c_str());
  logger->log(Severity::kERROR, "catchCudaError: Error Code 1: Cuda Runtime");
  state().failures.erase(found);
  return true;
}

class Context final : public nvinfer1::IExecutionContext {
 public:
  Context(const Network& network, nvinfer1::ILogger* logger) : network_(network), logger_(logger) {
    static const auto* const table = [] {
      auto* made = new Table<apiv::VExecutionContext, Context>;
      using V = apiv::VExecutionContext;
      made->put<&Context::set_profile>(&V::setOptimizationProfileAsync);
      made->put<&Context::set_shape>(&V::setInputShape);
      made->put<&Context::scratch_bytes>(&V::updateDeviceMemorySizeForShapes);
      made->put<&Context::set_address>(&V::setTensorAddress);
      made->put<&Context::set_scratch>(&V::setDeviceMemoryV2);
      made->put<&Context::enqueue>(&V::enqueueV3);
      return made;
    }();
    part_ = table->part(this);
    mImpl = part_.get();
    count("contexts", 1);
  }
  ~Context() override { count("contexts", -1); }

 private:
  bool refuse(const std::string& why) {
    logger_->log(nvinfer1::ILogger::Severity::kERROR, why.c_str());
    return false;
  }

  bool set_profile(int32_t profile, cudaStream_t) {
    if (fails(logger_, "setOptimizationProfileAsync")) return false;
    if (profile < 0 || static_cast<size_t>(profile) >= network_.buckets.size()) {
      return refuse("no profile " + std::to_string(profile));
    }
    rows_ = network_.buckets[static_cast<size_t>(profile)];
    shapes_.clear();
    return true;
  }

  bool set_shape(const char* name, const Dims& shape) {
    if (fails(logger_, "setInputShape")) return false;
    const bool latent = name == std::string("latent");
    const bool right =
        shape.d[0] == static_cast<int64_t>(rows_) && rows_ != 0 &&
        (latent ? shape.nbDims == 2 && shape.d[1] == static_cast<int64_t>(network_.width)
                : name == std::string("label") && shape.nbDims == 1);
    if (!right) return refuse(std::string("setInputShape: a wrong shape for ") + name);
    shapes_[name] = true;
    return true;
  }

  size_t scratch_bytes() { return shapes_.size() == 2 ? kScratchPerRow * rows_ : 0; }

  bool set_address(const char* name, void* data) {
    if (fails(logger_, "setTensorAddress")) return false;
    addresses_[name] = data;
    return true;
  }

  void set_scratch(void* memory, int64_t bytes) {
    scratch_ = memory;
    given_ = static_cast<size_t>(bytes);
  }

  // True if every address is device memory that no other overlaps.
  bool good_memory() {
    std::vector<std::pair<uintptr_t, uintptr_t>> parts;
    const auto add = [&](void* data, size_t bytes) {
      const auto begin = reinterpret_cast<uintptr_t>(data);
      parts.emplace_back(begin, begin + bytes);
      return begin % kAlignment == 0 &&
             of_host_cuda<int(const void*, size_t)>("host_cuda_is_device")(data, bytes) != 0;
    };
    const bool known = add(addresses_["latent"], rows_ * network_.width * sizeof(float)) &&
                       add(addresses_["label"], rows_ * sizeof(int64_t)) &&
                       add(addresses_["image"], rows_ * network_.values) &&
                       add(scratch_, scratch_bytes()) && given_ >= scratch_bytes();
    std::sort(parts.begin(), parts.end());
    for (size_t i = 1; i < parts.size(); ++i) {
      if (parts[i - 1].second > parts[i].first) return false;
    }
    return known;
  }

  bool enqueue(cudaStream_t stream) {
    if (fails(logger_, "enqueueV3")) return false;
    if (shapes_.size() != 2) return refuse("enqueueV3: a shape is not set");
    if (!good_memory()) return refuse("enqueueV3: an address is no device memory");
    kept_.push_back(std::make_unique<Work>(
        Work{network_, rows_, static_cast<const float*>(addresses_["latent"]),
             static_cast<const int64_t*>(addresses_["label"]),
             static_cast<unsigned char*>(addresses_["image"]), scratch_, scratch_bytes()}));
    using Enqueue = int(void*, void (*)(void*), void*);
    if (of_host_cuda<Enqueue>("host_cuda_enqueue")(stream, run, kept_.back().get()) != 0) {
      return refuse(of_host_cuda<const char*()>("host_cuda_error")());
    }
    count("executions", 1);
    return true;
  }

  Table<apiv::VExecutionContext, Context>::Part part_{};
  const Network network_;
  nvinfer1::ILogger* const logger_;
  size_t rows_ = 0;
  std::map<std::string, bool> shapes_;
  std::map<std::string, void*> addresses_;
  void* scratch_ = nullptr;
  size_t given_ = 0;
  std::vector<std::unique_ptr<Work>> kept_;
};

class Engine final : public nvinfer1::ICudaEngine {
 public:
  Engine(Network network, nvinfer1::ILogger* logger)
      : network_(std::move(network)), logger_(logger) {
    static const auto* const table = [] {
      auto* made = new Table<apiv::VCudaEngine, Engine>;
      using V = apiv::VCudaEngine;
      made->put<&Engine::count_of_tensors>(&V::getNbIOTensors);
      made->put<&Engine::name_of>(&V::getIOTensorName);
      made->put<&Engine::mode_of>(&V::getTensorIOMode);
      made->put<&Engine::shape_of>(&V::getTensorShape);
      made->put<&Engine::type_of>(&V::getTensorDataType);
      made->put<&Engine::make_context>(&V::createExecutionContext);
      return made;
    }();
    part_ = table->part(this);
    mImpl = part_.get();
    count("engines", 1);
  }
  ~Engine() override { count("engines", -1); }

 private:
  static constexpr const char* kNames[] = {"image", "latent", "label"};

  int32_t count_of_tensors() const { return 3; }
  const char* name_of(int32_t index) const { return kNames[index]; }
  TensorIOMode mode_of(const char* name) const {
    return name == std::string("image") ? TensorIOMode::kOUTPUT : TensorIOMode::kINPUT;
  }
  Dims shape_of(const char* name) const {
    if (name == std::string("label")) return {1, {-1}};
    if (name == std::string("latent")) return {2, {-1, static_cast<int64_t>(network_.width)}};
    return {4, {-1, 6, 5, static_cast<int64_t>(network_.values / 30)}};
  }
  nvinfer1::DataType type_of(const char* name) const {
    if (name == std::string("label")) return nvinfer1::DataType::kINT64;
    return name == std::string("latent") ? nvinfer1::DataType::kFLOAT : nvinfer1::DataType::kUINT8;
  }
  nvinfer1::IExecutionContext* make_context(nvinfer1::ExecutionContextAllocationStrategy strategy) {
    if (fails(logger_, "createExecutionContext")) return nullptr;
    if (strategy != nvinfer1::ExecutionContextAllocationStrategy::kUSER_MANAGED) return nullptr;
    return new Context(network_, logger_);
  }

  Table<apiv::VCudaEngine, Engine>::Part part_{};
  const Network network_;
  nvinfer1::ILogger* const logger_;
};

class Runtime final : public nvinfer1::IRuntime {
 public:
  explicit Runtime(nvinfer1::ILogger* logger) : logger_(logger) {
    static const auto* const table = [] {
      auto* made = new Table<apiv::VRuntime, Runtime>;
      made->put<&Runtime::open>(
          static_cast<nvinfer1::ICudaEngine* (apiv::VRuntime::*)(const void*, size_t) noexcept>(
              &apiv::VRuntime::deserializeCudaEngine));
      return made;
    }();
    part_ = table->part(this);
    mImpl = part_.get();
    count("runtimes", 1);
  }
  ~Runtime() override { count("runtimes", -1); }

 private:
  nvinfer1::ICudaEngine* open(const void* plan, size_t size) {
    if (fails(logger_, "deserializeCudaEngine")) return nullptr;
    Network network = network_of(std::string(static_cast<const char*>(plan), size));
    if (network.buckets.empty()) {
      logger_->log(nvinfer1::ILogger::Severity::kERROR,
                   "deserializeCudaEngine: Error Code 1: Serialization (unknown plan)");
      return nullptr;
    }
    return new Engine(std::move(network), logger_);
  }

  Table<apiv::VRuntime, Runtime>::Part part_{};
  nvinfer1::ILogger* const logger_;
};

int32_t version() {
  const char* value = std::getenv("FAKE_NVINFER_VERSION");
  return value ? std::atoi(value) : static_cast<int32_t>(NV_TENSORRT_VERSION);
}

}  // namespace
}  // namespace fake_nvinfer

FAKE_NVINFER_API void fake_nvinfer_fail(const char* function, const char* message) {
  const std::lock_guard<std::mutex> lock(fake_nvinfer::state().mutex);
  fake_nvinfer::state().failures[function] = message;
}

FAKE_NVINFER_API int64_t fake_nvinfer_counter(const char* name) {
  for (const char* known : {"runtimes", "engines", "contexts", "executions", "runs"}) {
    if (std::strcmp(name, known) != 0) continue;
    const std::lock_guard<std::mutex> lock(fake_nvinfer::state().mutex);
    return fake_nvinfer::state().counters[name];
  }
  return -1;
}

#define FAKE_EXPORT __attribute__((visibility("default")))

FAKE_EXPORT int32_t getInferLibVersion() noexcept { return fake_nvinfer::version(); }
FAKE_EXPORT int32_t getInferLibBuildVersion() noexcept { return 7; }

// TensorRT 10.16 makes a small number of the null pointer (measured).
FAKE_EXPORT void* createInferRuntime_INTERNAL(void* logger, int32_t) noexcept {
  auto* const given = static_cast<nvinfer1::ILogger*>(logger);
  if (fake_nvinfer::fails(given, "createInferRuntime")) {
    return reinterpret_cast<void*>(uintptr_t{0x228});
  }
  return static_cast<nvinfer1::IRuntime*>(new fake_nvinfer::Runtime(given));
}
