// Sets the current device of the calling thread, with the driver's stack of contexts.
//
// cudaSetDevice would need a second call to restore the previous device, which creates a context of
// hundreds of MB on a device that the process may not use. "CUDA Runtime API calls operate on the
// CUDA Driver API CUcontext which is current to the calling host thread" (CUDA Runtime API,
// Interactions with the CUDA Driver API), so pushing and popping the primary context of a device
// does the same, whichever runtime the caller uses.
#include <cuda.h>

#include <map>
#include <mutex>

#include "ops/cuda_launch.h"

namespace zoo {
namespace {

// Functions of the driver, looked up by the runtime, so that libcuda is not linked.
struct Driver {
  const char* failure = nullptr;
  decltype(&cuDevicePrimaryCtxRetain) retain = nullptr;
  decltype(&cuCtxPushCurrent) push = nullptr;
  decltype(&cuCtxPopCurrent) pop = nullptr;
  decltype(&cuGetErrorName) error_name = nullptr;
};

template <typename Function>
const char* look_up(const char* name, Function* function) {
  void* symbol = nullptr;
#if CUDART_VERSION >= 12050
  // These functions have not changed since CUDA 11.0.
  const char* failure =
      ZOO_CUDA(cudaGetDriverEntryPointByVersion(name, &symbol, 11000, cudaEnableDefault));
#else
  const char* failure = ZOO_CUDA(cudaGetDriverEntryPoint(name, &symbol, cudaEnableDefault));
#endif
  if (failure) return failure;
  *function = reinterpret_cast<Function>(symbol);
  return symbol ? nullptr : "the NVIDIA driver is too old: it has no functions for contexts";
}

const Driver& driver() {
  static const Driver driver = [] {
    Driver functions;
    functions.failure = look_up("cuDevicePrimaryCtxRetain", &functions.retain);
    if (!functions.failure) functions.failure = look_up("cuCtxPushCurrent", &functions.push);
    if (!functions.failure) functions.failure = look_up("cuCtxPopCurrent", &functions.pop);
    if (!functions.failure) functions.failure = look_up("cuGetErrorName", &functions.error_name);
    return functions;
  }();
  return driver;
}

const char* driver_failure(CUresult status, const char* call, int line) {
  if (status == CUDA_SUCCESS) return nullptr;
  static thread_local char message[256];
  const char* name = nullptr;
  driver().error_name(status, &name);
  std::snprintf(message, sizeof message, "%s (%s:%d): %s", call, __FILE_NAME__, line,
                name ? name : "an error without a name");
  return message;
}

#define ZOO_DRIVER(call) driver_failure((call), #call, __LINE__)

// Returns the primary context of a device, which all runtimes in this process share. It is never
// released, because that could destroy what the runtime has created in it.
const char* primary_context(int index, CUcontext* context) {
  static std::mutex mutex;
  static auto* const contexts = new std::map<int, CUcontext>;
  const std::lock_guard<std::mutex> lock(mutex);
  if (const auto known = contexts->find(index); known != contexts->end()) {
    *context = known->second;
    return nullptr;
  }
  // The handle of a device is its index.
  if (const char* failure = ZOO_DRIVER(driver().retain(context, index))) return failure;
  contexts->emplace(index, *context);
  return nullptr;
}

}  // namespace

const char* enter_device(int index) {
  if (driver().failure) return driver().failure;
  CUcontext context = nullptr;
  if (const char* failure = primary_context(index, &context)) return failure;
  return ZOO_DRIVER(driver().push(context));
}

const char* leave_device() {
  CUcontext popped = nullptr;
  return driver().failure ? driver().failure : ZOO_DRIVER(driver().pop(&popped));
}

}  // namespace zoo
