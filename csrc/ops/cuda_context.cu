// The calling thread's current device, by the driver's stack of contexts.
//
// cudaSetDevice would have to be called a second time to give the device back, and that call makes
// a context on a device that the process may not use: hundreds of MB of its memory. "CUDA Runtime
// API calls operate on the CUDA Driver API CUcontext which is current to the calling host thread"
// (CUDA Runtime API, Interactions with the CUDA Driver API), so pushing a device's primary context
// and popping it does, for whatever runtime the caller has.
#include <cuda.h>

#include <map>
#include <mutex>

#include "ops/cuda_launch.h"

namespace zoo {
namespace {

// The driver's own functions, found by the runtime: nothing is linked to libcuda.
struct Driver {
  const char* failure = nullptr;
  decltype(&cuDevicePrimaryCtxRetain) retain = nullptr;
  decltype(&cuCtxPushCurrent) push = nullptr;
  decltype(&cuCtxPopCurrent) pop = nullptr;
  decltype(&cuGetErrorName) name_of = nullptr;
};

template <typename Function>
const char* find(const char* name, Function* function) {
  void* found = nullptr;
#if CUDART_VERSION >= 12050
  // Of CUDA 11.0: these functions are as they were then.
  const char* failure =
      ZOO_CUDA(cudaGetDriverEntryPointByVersion(name, &found, 11000, cudaEnableDefault));
#else
  const char* failure = ZOO_CUDA(cudaGetDriverEntryPoint(name, &found, cudaEnableDefault));
#endif
  if (failure) return failure;
  *function = reinterpret_cast<Function>(found);
  return found ? nullptr : "the NVIDIA driver is too old: it has no functions for contexts";
}

const Driver& driver() {
  static const Driver found = [] {
    Driver made;
    made.failure = find("cuDevicePrimaryCtxRetain", &made.retain);
    if (!made.failure) made.failure = find("cuCtxPushCurrent", &made.push);
    if (!made.failure) made.failure = find("cuCtxPopCurrent", &made.pop);
    if (!made.failure) made.failure = find("cuGetErrorName", &made.name_of);
    return made;
  }();
  return found;
}

const char* driver_failure(CUresult status, const char* call, int line) {
  if (status == CUDA_SUCCESS) return nullptr;
  static thread_local char message[256];
  const char* name = nullptr;
  driver().name_of(status, &name);
  std::snprintf(message, sizeof message, "%s (%s:%d): %s", call, __FILE_NAME__, line,
                name ? name : "an error without a name");
  return message;
}

#define ZOO_DRIVER(call) driver_failure((call), #call, __LINE__)

// A device's primary context, which the runtime of everybody in this process uses too. Retained
// once and for all: without it what the runtime made there would go.
const char* context_of(int index, CUcontext* context) {
  static std::mutex mutex;
  static auto* const contexts = new std::map<int, CUcontext>;
  const std::lock_guard<std::mutex> lock(mutex);
  if (const auto known = contexts->find(index); known != contexts->end()) {
    *context = known->second;
    return nullptr;
  }
  // A device's handle is its index.
  if (const char* failure = ZOO_DRIVER(driver().retain(context, index))) return failure;
  contexts->emplace(index, *context);
  return nullptr;
}

}  // namespace

const char* enter_device(int index) {
  if (driver().failure) return driver().failure;
  CUcontext context = nullptr;
  if (const char* failure = context_of(index, &context)) return failure;
  return ZOO_DRIVER(driver().push(context));
}

const char* leave_device() {
  CUcontext left = nullptr;
  return driver().failure ? driver().failure : ZOO_DRIVER(driver().pop(&left));
}

}  // namespace zoo
