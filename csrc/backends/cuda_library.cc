#include "backends/cuda_library.h"

#include <dlfcn.h>
#include <unistd.h>

#include <mutex>
#include <string>

#include "backends/library.h"
#include "core/fork.h"
#include "zoo/errors.h"

namespace zoo {
namespace {

constexpr const char* kName = "libzoo_cuda.so";

void require_driver() {
  if (has_nvidia_driver()) return;
  throw DeviceUnavailableError(
      "there is no NVIDIA driver here (libcuda.so.1 not found); an NVIDIA GPU and its driver are "
      "needed");
}

const CudaOps* open_ops() {
  std::string path = own_folder() + "/" + kName;
  if (const std::string found = find_library("ZOO_CUDA_LIBRARY", "runtime/lib", kName);
      !found.empty()) {
    path = found;
  } else if (void* there = ::dlopen(path.c_str(), RTLD_LAZY | RTLD_LOCAL)) {
    ::dlclose(there);
  } else {
    require_driver();
    throw BackendUnavailableError(
        "this build has no CUDA kernels: no nvcc was found when it was made; put nvcc on the PATH, "
        "or pip install nvidia-cuda-nvcc, and install generator-zoo from source again");
  }
  void* library = open_library(path, /*global=*/false);
  using Entry = const CudaOps* (*)(uint32_t);
  const auto entry = reinterpret_cast<Entry>(library_symbol(library, "zoo_cuda_ops", path));
  const CudaOps* ops = entry(kCudaOpsVersion);
  if (!ops) {
    throw BackendUnavailableError("'" + path + "' belongs to another version of generator-zoo");
  }
  return ops;
}

int count_devices(const CudaOps& ops) {
  int count = 0;
  if (const char* failure = ops.device_count(&count)) {
    const std::string message = failure;
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
        "CUDA was in use when this process was forked, and cannot be used in it; start processes "
        "with the method 'spawn'");
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

CudaDevice cuda_device(int number, const std::string& who, const std::string& without) {
  std::vector<CudaDevice> devices;
  try {
    devices = cuda_devices();
  } catch (const DeviceUnavailableError& error) {
    throw DeviceUnavailableError(who + ": " + error.what() + "; " + without);
  }
  const auto count = static_cast<int>(devices.size());
  if (number < count) return devices[static_cast<size_t>(number)];
  throw DeviceUnavailableError("device 'cuda:" + std::to_string(number) + "': there " +
                               (count == 1 ? "is" : "are") + " " + std::to_string(count) +
                               " (cuda:0" +
                               (count == 1 ? "" : " to cuda:" + std::to_string(count - 1)) + ")");
}

namespace {

// Whether this process uses the device; true where that cannot be told.
bool is_in_use(int device) {
  using Get = int (*)(int* device, int ordinal);
  using State = int (*)(int device, unsigned* flags, int* active);
  static void* const driver = ::dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (!driver) return true;
  static const auto get = reinterpret_cast<Get>(::dlsym(driver, "cuDeviceGet"));
  static const auto state = reinterpret_cast<State>(::dlsym(driver, "cuDevicePrimaryCtxGetState"));
  int handle = 0;
  unsigned flags = 0;
  int active = 1;
  if (!get || !state || get(&handle, device) != 0) return true;
  return state(handle, &flags, &active) != 0 || active != 0;
}

}  // namespace

void return_to_device(int before) {
  try {
    if (is_in_use(before)) cuda_ops().set_device(before);
  } catch (const Error&) {
    // A forked child, which has no device.
  }
}

void check_cuda(const char* failure) {
  if (failure) throw ExecutionError(failure);
}

}  // namespace zoo
