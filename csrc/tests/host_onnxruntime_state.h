// What the emulated CUDA provider knows (host_onnxruntime.h).
#pragma once

#include <dlfcn.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "ops/cuda_ops.h"
#include "zoo_interfaces.h"

#if __has_include(<onnxruntime/onnxruntime_c_api.h>)
#include <onnxruntime/onnxruntime_c_api.h>
#else
#include <onnxruntime_c_api.h>
#endif

namespace zoo::host_ort {

inline void* open_named(const char* variable) {
  const char* path = std::getenv(variable);
  void* library = path ? ::dlopen(path, RTLD_NOW | RTLD_LOCAL) : nullptr;
  if (!library) {
    const char* reason = path ? ::dlerror() : "is not set";
    std::fprintf(stderr, "%s: %s\n", variable, reason);
    std::abort();
  }
  return library;
}

template <typename Function>
Function symbol(void* library, const char* name) {
  return reinterpret_cast<Function>(::dlsym(library, name));
}

// The emulated devices.
struct Devices {
  void* const library = open_named("ZOO_CUDA_LIBRARY");
  const CudaOps* const ops =
      symbol<const CudaOps* (*)(uint64_t)>(library, "zoo_cuda_ops")(kCudaInterface);
  int (*const enqueue)(void*, void (*)(void*),
                       void*) = symbol<int (*)(void*, void (*)(void*), void*)>(library,
                                                                               "host_cuda_enqueue");
  int (*const set_device)(int) = symbol<int (*)(int)>(library, "host_cuda_set_device");
  void (*const fail)(const char*) = symbol<void (*)(const char*)>(library, "host_cuda_break");
  const char* (*const error)() = symbol<const char* (*)()>(library, "host_cuda_error");
  int (*const is_device)(const void*,
                         size_t) = symbol<int (*)(const void*, size_t)>(library,
                                                                        "host_cuda_is_device");
};

inline const Devices& devices() {
  static const auto* const opened = new Devices;
  return *opened;
}

inline const OrtApiBase* real_base() {
  static const OrtApiBase* const base =
      symbol<const OrtApiBase* (*)()>(open_named("HOST_ONNXRUNTIME"), "OrtGetApiBase")();
  return base;
}

// The real library's functions.
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

// One run's work, which graphs may do again for as long as they live.
struct Run {
  Session* session;
  OrtIoBinding* binding;
  bool elided;
};

// A session of the provider; its weights and working memory are so many bytes of the device.
struct Session {
  OrtSession* real = nullptr;
  Provider provider;
  void* kernels = nullptr;  // the stream of custom operators
  std::vector<void*> memory;
  size_t working_bytes = 0;
  std::vector<std::unique_ptr<Run>> runs;
};

struct State {
  std::mutex mutex;  // guards all that follows
  std::map<const OrtSessionOptions*, Provider> appended;
  std::map<const OrtSession*, std::unique_ptr<Session>> sessions;
  std::map<const OrtRunOptions*, Settings> run_options;
  std::map<const OrtMemoryInfo*, int> memory_of;
  std::map<const OrtIoBinding*, size_t> output_bytes;
  std::map<std::string, std::pair<int, std::string>> failures;
  std::map<std::string, uint64_t> counts;
  bool environment = false;
  Settings last_settings;
  std::string needed_library;
};

inline State& state() {
  static auto* const made = new State;
  return *made;
}

using Guard = std::lock_guard<std::mutex>;

inline void count(const char* name) {
  const Guard lock(state().mutex);
  ++state().counts[name];
}

// Whether a call is to fail now, and with what.
inline bool told(const std::string& what, std::string* message) {
  const Guard lock(state().mutex);
  const auto found = state().failures.find(what);
  if (found == state().failures.end() || found->second.first == 0) return false;
  --found->second.first;
  *message = found->second.second;
  return true;
}

// Of the calling thread: the session whose work it does.
inline thread_local Session* running = nullptr;

// The table that users of this library see, and the part of it that is about sessions.
const OrtApi* table();
void use_sessions(OrtApi* table);

// A custom operator for CUDA as one for the CPU; lives as long as the process.
const OrtCustomOp* on_cpu(const OrtCustomOp* op);

// For operators at work: memory of the device in the place of what is none.
OrtStatus* data_on_device(OrtValue* value, void** data) noexcept;
OrtStatus* operator_output(OrtKernelContext* context, size_t index, const int64_t* dimensions,
                           size_t size, OrtValue** value) noexcept;

}  // namespace zoo::host_ort
