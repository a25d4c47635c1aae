// State of the emulated CUDA provider (host_onnxruntime.h), shared by its two sources.
#pragma once

#include <dlfcn.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "ops/cuda_ops.h"
#include "tests/host_cuda.h"
#include "zoo_interfaces.h"

#if __has_include(<onnxruntime/onnxruntime_c_api.h>)
#include <onnxruntime/onnxruntime_c_api.h>
#else
#include <onnxruntime_c_api.h>
#endif

namespace zoo::host_ort {

// Returns a function of the library that an environment variable names.
template <typename Function>
Function* symbol(const char* variable, const char* name) {
  void* const library = ::dlopen(std::getenv(variable), RTLD_NOW | RTLD_LOCAL);
  void* const function = library ? ::dlsym(library, name) : nullptr;
  if (!function) std::abort();
  return reinterpret_cast<Function*>(function);
}

// The emulated devices.
struct Devices {
  template <typename Function>
  static Function* find(const char* name) {
    return symbol<Function>("ZOO_CUDA_LIBRARY", name);
  }
  const CudaOps& ops = *find<const CudaOps*(uint64_t)>("zoo_cuda_ops")(kCudaInterface);
  decltype(&host_cuda_enqueue) enqueue = find<decltype(host_cuda_enqueue)>("host_cuda_enqueue");
  decltype(&host_cuda_set_device) set_device =
      find<decltype(host_cuda_set_device)>("host_cuda_set_device");
  decltype(&host_cuda_break) fail = find<decltype(host_cuda_break)>("host_cuda_break");
  decltype(&host_cuda_error) error = find<decltype(host_cuda_error)>("host_cuda_error");
  decltype(&host_cuda_is_device) is_device =
      find<decltype(host_cuda_is_device)>("host_cuda_is_device");
};

inline const Devices& devices() {
  static const auto* const opened = new Devices;
  return *opened;
}

inline const OrtApiBase* real_base() {
  static const OrtApiBase* const base =
      symbol<const OrtApiBase*()>("HOST_ONNXRUNTIME", "OrtGetApiBase")();
  return base;
}

// Functions of the real library.
inline const OrtApi& real() {
  static const OrtApi* const api = real_base()->GetApi(ORT_API_VERSION);
  return *api;
}

inline OrtStatus* failure(const std::string& message) {
  return real().CreateStatus(ORT_FAIL, message.c_str());
}

using Settings = std::map<std::string, std::string>;

struct Provider {
  Settings settings;
  void* stream = nullptr;
  int device() const { return std::atoi(settings.at("device_id").c_str()); }
};

struct Session;

// The work of a run. Graphs may repeat it, so it lives as long as the session.
struct Run {
  Session* session;
  OrtIoBinding* binding;
  bool elided;
};

struct Session {
  OrtSession* real = nullptr;
  Provider provider;
  void* kernels = nullptr;  // the stream of custom operators
  std::vector<std::unique_ptr<Run>> runs;
};

struct State {
  std::mutex mutex;  // guards the following members
  std::map<const OrtSessionOptions*, Provider> appended;
  std::map<const OrtSession*, std::unique_ptr<Session>> sessions;
  std::map<const OrtRunOptions*, Settings> run_options;
  std::map<const OrtMemoryInfo*, int> memory_devices;
  std::map<std::string, std::pair<int, std::string>> failures;
  std::map<std::string, uint64_t> counts;
  bool environment = false;
  Settings last_settings;
};

inline State& state() {
  static auto* const instance = new State;
  return *instance;
}

using Guard = std::lock_guard<std::mutex>;

inline void count(const char* name) {
  const Guard lock(state().mutex);
  ++state().counts[name];
}

// The session whose work the calling thread runs.
inline thread_local Session* running = nullptr;

// Replaces the functions for custom operators in the table of this library.
void use_operators(OrtApi* table);

}  // namespace zoo::host_ort
