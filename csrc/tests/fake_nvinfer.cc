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

// Returns true if this call has to fail, after logging the reason.
bool fails(nvinfer1::ILogger* logger, const char* function) {
  const std::lock_guard<std::mutex> lock(state().mutex);
  const auto failure = state().failures.find(function);
  if (failure == state().failures.end()) return false;
  // Like TensorRT: a warning, and the reason among messages that explain nothing.
  using Severity = nvinfer1::ILogger::Severity;
  logger->log(Severity::kWARNING, "a warning");
  logger->log(Severity::kINFO, "information");
  logger->log(Severity::kERROR, "Thread context has not been set");
  logger->log(Severity::kERROR, (std::string(function) + ":\n  " + failure->second).c_str());
  logger->log(Severity::kERROR, "catchCudaError: Error Code 1: Cuda Runtime");
  state().failures.erase(failure);
  return true;
}

class Context final : public nvinfer1::IExecutionContext {
 public:
  Context(const Network& network, nvinfer1::ILogger* logger) : network_(network), logger_(logger) {
    static const auto* const table = [] {
      auto* functions = new Table<apiv::VExecutionContext, Context>;
      using V = apiv::VExecutionContext;
      functions->set<&Context::set_profile>(&V::setOptimizationProfileAsync);
      functions->set<&Context::set_shape>(&V::setInputShape);
      functions->set<&Context::scratch_bytes>(&V::updateDeviceMemorySizeForShapes);
      functions->set<&Context::set_address>(&V::setTensorAddress);
      functions->set<&Context::set_scratch>(&V::setDeviceMemoryV2);
      functions->set<&Context::enqueue>(&V::enqueueV3);
      return functions;
    }();
    part_ = table->part(this);
    mImpl = part_.get();
    count("contexts", 1);
  }
  ~Context() override { count("contexts", -1); }

 private:
  bool refuse(const std::string& reason) {
    logger_->log(nvinfer1::ILogger::Severity::kERROR, reason.c_str());
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
    const bool valid =
        shape.d[0] == static_cast<int64_t>(rows_) && rows_ != 0 &&
        (latent ? shape.nbDims == 2 && shape.d[1] == static_cast<int64_t>(network_.width)
                : name == std::string("label") && shape.nbDims == 1);
    if (!valid) return refuse(std::string("setInputShape: a wrong shape for ") + name);
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
    scratch_size_ = static_cast<size_t>(bytes);
  }

  // Returns true if every address is device memory that does not overlap another.
  bool has_valid_memory() {
    std::vector<std::pair<uintptr_t, uintptr_t>> parts;
    const auto add = [&](void* data, size_t bytes) {
      const auto begin = reinterpret_cast<uintptr_t>(data);
      parts.emplace_back(begin, begin + bytes);
      return begin % kAlignment == 0 &&
             host_cuda_function<int(const void*, size_t)>("host_cuda_is_device")(data, bytes) != 0;
    };
    const bool valid = add(addresses_["latent"], rows_ * network_.width * sizeof(float)) &&
                       add(addresses_["label"], rows_ * sizeof(int64_t)) &&
                       add(addresses_["image"], rows_ * network_.values) &&
                       add(scratch_, scratch_bytes()) && scratch_size_ >= scratch_bytes();
    std::sort(parts.begin(), parts.end());
    for (size_t i = 1; i < parts.size(); ++i) {
      if (parts[i - 1].second > parts[i].first) return false;
    }
    return valid;
  }

  bool enqueue(cudaStream_t stream) {
    if (fails(logger_, "enqueueV3")) return false;
    if (shapes_.size() != 2) return refuse("enqueueV3: a shape is not set");
    if (!has_valid_memory()) return refuse("enqueueV3: an address is not device memory");
    work_.push_back(std::make_unique<Work>(
        Work{network_, rows_, static_cast<const float*>(addresses_["latent"]),
             static_cast<const int64_t*>(addresses_["label"]),
             static_cast<unsigned char*>(addresses_["image"]), scratch_, scratch_bytes()}));
    using Enqueue = int(void*, void (*)(void*), void*);
    if (host_cuda_function<Enqueue>("host_cuda_enqueue")(stream, run, work_.back().get()) != 0) {
      return refuse(host_cuda_function<const char*()>("host_cuda_error")());
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
  size_t scratch_size_ = 0;
  std::vector<std::unique_ptr<Work>> work_;
};

class Engine final : public nvinfer1::ICudaEngine {
 public:
  Engine(Network network, nvinfer1::ILogger* logger)
      : network_(std::move(network)), logger_(logger) {
    static const auto* const table = [] {
      auto* functions = new Table<apiv::VCudaEngine, Engine>;
      using V = apiv::VCudaEngine;
      functions->set<&Engine::tensor_count>(&V::getNbIOTensors);
      functions->set<&Engine::tensor_name>(&V::getIOTensorName);
      functions->set<&Engine::tensor_mode>(&V::getTensorIOMode);
      functions->set<&Engine::tensor_shape>(&V::getTensorShape);
      functions->set<&Engine::tensor_type>(&V::getTensorDataType);
      functions->set<&Engine::make_context>(&V::createExecutionContext);
      return functions;
    }();
    part_ = table->part(this);
    mImpl = part_.get();
    count("engines", 1);
  }
  ~Engine() override { count("engines", -1); }

 private:
  static constexpr const char* kNames[] = {"image", "latent", "label"};

  int32_t tensor_count() const { return 3; }
  const char* tensor_name(int32_t index) const { return kNames[index]; }
  TensorIOMode tensor_mode(const char* name) const {
    return name == std::string("image") ? TensorIOMode::kOUTPUT : TensorIOMode::kINPUT;
  }
  Dims tensor_shape(const char* name) const {
    if (name == std::string("label")) return {1, {-1}};
    if (name == std::string("latent")) return {2, {-1, static_cast<int64_t>(network_.width)}};
    return {4, {-1, 6, 5, static_cast<int64_t>(network_.values / 30)}};
  }
  nvinfer1::DataType tensor_type(const char* name) const {
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
      auto* functions = new Table<apiv::VRuntime, Runtime>;
      functions->set<&Runtime::open>(
          static_cast<nvinfer1::ICudaEngine* (apiv::VRuntime::*)(const void*, size_t) noexcept>(
              &apiv::VRuntime::deserializeCudaEngine));
      return functions;
    }();
    part_ = table->part(this);
    mImpl = part_.get();
    count("runtimes", 1);
  }
  ~Runtime() override { count("runtimes", -1); }

 private:
  nvinfer1::ICudaEngine* open(const void* plan, size_t size) {
    if (fails(logger_, "deserializeCudaEngine")) return nullptr;
    Network network = parse_network(std::string(static_cast<const char*>(plan), size));
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

// On failure, TensorRT 10.16 returns a small number instead of null (measured).
FAKE_EXPORT void* createInferRuntime_INTERNAL(void* logger, int32_t) noexcept {
  auto* const interface = static_cast<nvinfer1::ILogger*>(logger);
  if (fake_nvinfer::fails(interface, "createInferRuntime")) {
    return reinterpret_cast<void*>(uintptr_t{0x228});
  }
  return static_cast<nvinfer1::IRuntime*>(new fake_nvinfer::Runtime(interface));
}
