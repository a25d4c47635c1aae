#include "backends/onnxruntime/cuda_session.h"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "base/library.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

constexpr const char* kProvider = "CUDAExecutionProvider";

// Messages of ONNX Runtime, CUDA, cuBLAS and cuDNN when memory is exhausted.
constexpr const char* kOutOfMemory[] = {"out of memory", "Failed to allocate memory",
                                        "cudaErrorMemoryAllocation", "_ALLOC_FAILED",
                                        "Available memory of"};

// Libraries that the provider opens on demand, without reporting that they are missing.
constexpr const char* kLazyLibraries[] = {"libnvrtc.so.12", "libnvrtc.so.13", "libcudnn.so.9"};

bool is_out_of_memory(const std::string& message) {
  return std::any_of(std::begin(kOutOfMemory), std::end(kOutOfMemory),
                     [&](const char* words) { return message.find(words) != std::string::npos; });
}

// Returns the name of the library that a message of the loader reports as missing, or "".
std::string missing_library(const std::string& message) {
  const size_t end = message.find(": cannot open shared object file");
  if (end == std::string::npos) return "";
  const size_t before = message.find_last_of(" :", end - 1);
  return message.substr(before + 1, end - before - 1);
}

void append_provider(const BackendConfig& config, void* stream, bool graph,
                     Ort::SessionOptions* options) {
  const OrtApi& api = Ort::GetApi();
  OrtCUDAProviderOptionsV2* raw = nullptr;
  Ort::ThrowOnError(api.CreateCUDAProviderOptions(&raw));
  const std::unique_ptr<OrtCUDAProviderOptionsV2, decltype(api.ReleaseCUDAProviderOptions)> cuda(
      raw, api.ReleaseCUDAProviderOptions);
  const std::string device = std::to_string(config.device);
  const std::vector<std::pair<const char*, const char*>> settings = {
      {"device_id", device.c_str()},
      // A search by time may choose other kernels, with other bits, in another instance.
      {"cudnn_conv_algo_search", "HEURISTIC"},
      // Runs have few sizes, so doubling would only take memory from the other instance.
      {"arena_extend_strategy", "kSameAsRequested"},
      {"do_copy_in_default_stream", "1"},
      {"prefer_nhwc", "1"},
      {"use_tf32", config.precision == "tf32" ? "1" : "0"},
      {"enable_cuda_graph", graph ? "1" : "0"}};
  std::vector<const char*> names;
  std::vector<const char*> values;
  for (const auto& [name, value] : settings) {
    names.push_back(name);
    values.push_back(value);
  }
  Ort::ThrowOnError(
      api.UpdateCUDAProviderOptions(cuda.get(), names.data(), values.data(), names.size()));
  Ort::ThrowOnError(
      api.UpdateCUDAProviderOptionsWithValue(cuda.get(), "user_compute_stream", stream));
  options->AppendExecutionProvider_CUDA_V2(*cuda);
}

Ort::SessionOptions session_options(const BackendConfig& config, void* stream, bool graph) {
  // The environment has the log, to which the provider writes before there is a session.
  ort_environment();
  for (const char* name : kLazyLibraries) preload_library("nvidia", name);
  Ort::SessionOptions options;
  options.SetIntraOpNumThreads(1);
  options.SetInterOpNumThreads(1);
  options.SetGraphOptimizationLevel(ORT_ENABLE_ALL);
  options.SetDeterministicCompute(true);
  // With memory patterns, the second run allocates memory, which is not allowed during a capture.
  options.DisableMemPattern();
  // Errors are returned anyway, and falling back from CUDA graphs is not an error.
  options.SetLogSeverityLevel(ORT_LOGGING_LEVEL_FATAL);
  options.Add(cuda_custom_op_domain());
  std::set<std::string> tried;
  while (true) {
    try {
      append_provider(config, stream, graph, &options);
      return options;
    } catch (const Ort::Exception& error) {
      std::string message = error.what();
      message.erase(message.find_last_not_of(" \n") + 1);
      // The loader does not search the wheels of NVIDIA's libraries.
      const std::string missing = missing_library(message);
      const bool retry = !missing.empty() && tried.insert(missing).second;
      if (retry && preload_library("nvidia", missing)) continue;
      throw BackendUnavailableError(
          ort_name() + " cannot load its CUDA provider: " + message +
          "; it needs the CUDA and cuDNN that it was built for, on the loader's path " +
          "(LD_LIBRARY_PATH) or by pip install 'onnxruntime-gpu[cuda,cudnn]'");
    }
  }
}

// A session, or the reason why it could not be created.
struct SessionResult {
  Ort::Session session{nullptr};
  std::string failure;
};

// Throws OutOfMemoryError.
SessionResult open_session(const BackendConfig& config, const Ort::SessionOptions& options) {
  try {
    return {Ort::Session(ort_environment(), config.graph.data(), config.graph.size(), options), ""};
  } catch (const Ort::Exception& error) {
    if (is_out_of_memory(error.what())) {
      throw OutOfMemoryError("ONNX Runtime, loading '" + config.path + "': " + error.what());
    }
    return {Ort::Session(nullptr), error.what()};
  }
}

}  // namespace

void require_cuda_provider() {
  ort_api_base();
  const std::vector<std::string> known = Ort::GetAvailableProviders();
  if (std::find(known.begin(), known.end(), kProvider) != known.end()) return;
  throw BackendUnavailableError(
      ort_name() + " supports CPUs only; for a GPU pip install onnxruntime-gpu, after pip " +
      "uninstall onnxruntime, which has the same files");
}

std::string batch_axis_name(const Ort::Session& session) {
  for (size_t i = 0; i < session.GetInputCount(); ++i) {
    const Ort::TypeInfo type = session.GetInputTypeInfo(i);
    const auto shape = type.GetTensorTypeAndShapeInfo();
    std::vector<const char*> names(shape.GetDimensionsCount());
    shape.GetSymbolicDimensions(names.data(), names.size());
    if (!names.empty() && names.front() && *names.front()) return names.front();
  }
  return "";
}

CudaSession open_cuda_session(const BackendConfig& config, void* stream) {
  SessionResult graph = open_session(config, session_options(config, stream, /*graph=*/true));
  if (graph.failure.empty()) return {std::move(graph.session), ""};
  SessionResult plain = open_session(config, session_options(config, stream, /*graph=*/false));
  if (plain.failure.empty()) return {std::move(plain.session), graph.failure};
  throw EngineFileError("ONNX Runtime cannot load '" + config.path + "': " + plain.failure);
}

Ort::Session open_fixed_size_session(const BackendConfig& config, void* stream,
                                     const std::string& batch_axis, size_t rows) {
  Ort::SessionOptions options = session_options(config, stream, /*graph=*/true);
  Ort::ThrowOnError(Ort::GetApi().AddFreeDimensionOverrideByName(options, batch_axis.c_str(),
                                                                 static_cast<int64_t>(rows)));
  return open_session(config, options).session;
}

void throw_run_failure(const Ort::Exception& error) {
  const std::string message = std::string("ONNX Runtime: ") + error.what();
  if (is_out_of_memory(message)) throw OutOfMemoryError(message);
  throw ExecutionError(message);
}

}  // namespace zoo
