#include "backends/cuda/library.h"

#include <dlfcn.h>
#include <unistd.h>

#include <mutex>
#include <string>

#include "base/fork.h"
#include "base/library.h"
#include "zoo/errors.h"
#include "zoo_interfaces.h"

namespace zoo {
namespace {

constexpr const char* kName = "libzoo_cuda.so";

void require_driver() {
  if (has_nvidia_driver()) return;
  throw DeviceUnavailableError(
      "there is no NVIDIA driver here (libcuda.so.1 not found); this needs an NVIDIA GPU and its "
      "driver");
}

const CudaOps* open_ops() {
  const std::string path = find_own_library("ZOO_CUDA_LIBRARY", kName);
  if (path.empty()) {
    require_driver();
    throw BackendUnavailableError(
        "this build has no CUDA kernels, because no nvcc was found; put nvcc on the PATH, or pip "
        "install nvidia-cuda-nvcc, and install generator-zoo from source again");
  }
  void* library = open_library(path, /*global=*/false);
  using Entry = const CudaOps* (*)(uint64_t);
  const auto entry = reinterpret_cast<Entry>(library_symbol(library, "zoo_cuda_ops", path));
  const CudaOps* ops = entry(kCudaInterface);
  if (!ops) {
    throw BackendUnavailableError("'" + path + "' belongs to another version of generator-zoo");
  }
  return ops;
}

std::string cuda_version(int number) {
  return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
}

void require_new_driver(const CudaOps& ops) {
  int driver = 0;
  int runtime = 0;
  if (ops.versions(&driver, &runtime) || driver == 0 || driver >= runtime) return;
  throw DeviceUnavailableError("the NVIDIA driver supports CUDA up to " + cuda_version(driver) +
                               ", but this build needs CUDA " + cuda_version(runtime) +
                               "; update the driver, or install generator-zoo from source again " +
                               "with an nvcc of CUDA " + cuda_version(driver));
}

int count_devices(const CudaOps& ops) {
  int count = 0;
  if (const char* failure = ops.device_count(&count)) {
    const std::string message = failure;
    require_new_driver(ops);
    require_driver();
    throw DeviceUnavailableError("no CUDA device can be used: " + message);
  }
  if (count == 0) throw DeviceUnavailableError("there is an NVIDIA driver, but no CUDA device");
  return count;
}

}  // namespace

const CudaOps& cuda_ops() {
  static std::mutex mutex;
  static const CudaOps* opened = nullptr;
  static pid_t owner = 0;
  const ForkGuard guard;
  const std::lock_guard<std::mutex> lock(mutex);
  if (opened && owner != getpid()) {
    throw DeviceUnavailableError(
        "CUDA cannot be used in this process, because it was in use when the process was forked; "
        "start processes with the method 'spawn'");
  }
  if (!opened) {
    const CudaOps* ops = open_ops();
    count_devices(*ops);
    opened = ops;
    owner = getpid();
  }
  return *opened;
}

std::vector<CudaDevice> cuda_devices() {
  const CudaOps& ops = cuda_ops();
  std::vector<CudaDevice> devices(static_cast<size_t>(count_devices(ops)));
  for (size_t index = 0; index < devices.size(); ++index) {
    check_cuda(ops.device(static_cast<int>(index), &devices[index]));
  }
  return devices;
}

CudaDevice cuda_device(int number, const std::string& context, const std::string& hint) {
  std::vector<CudaDevice> devices;
  try {
    devices = cuda_devices();
  } catch (const DeviceUnavailableError& error) {
    throw DeviceUnavailableError(context + ": " + error.what() + "; " + hint);
  }
  const auto count = static_cast<int>(devices.size());
  if (number < count) return devices[static_cast<size_t>(number)];
  throw DeviceUnavailableError("device 'cuda:" + std::to_string(number) + "': there " +
                               (count == 1 ? "is" : "are") + " " + std::to_string(count) +
                               " (cuda:0" +
                               (count == 1 ? "" : " to cuda:" + std::to_string(count - 1)) + ")");
}

void check_cuda(const char* failure) {
  if (failure) throw ExecutionError(failure);
}

}  // namespace zoo
