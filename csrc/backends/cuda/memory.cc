#include "backends/cuda/memory.h"

#include <cstring>
#include <string>

#include "zoo/errors.h"

namespace zoo {

OnDevice::OnDevice(int device) : entered_(true) { check_cuda(cuda_ops().enter_device(device)); }

OnDevice::OnDevice(int device, std::nothrow_t) noexcept {
  try {
    entered_ = !cuda_ops().enter_device(device);
  } catch (const Error&) {
    // CUDA cannot be used in a forked child.
  }
}

OnDevice::~OnDevice() {
  if (!entered_) return;
  try {
    cuda_ops().leave_device();
  } catch (const Error&) {
    // As above: the process was forked within the scope.
  }
}

DeviceMemory allocate_device_memory(size_t bytes) {
  const CudaOps& ops = cuda_ops();
  void* memory = nullptr;
  bool exhausted = false;
  const char* failure = ops.allocate(bytes, &memory, &exhausted);
  if (failure && exhausted) {
    uint64_t free = 0;
    uint64_t total = 0;
    const std::string message = failure;
    std::string left;
    if (!ops.memory(&free, &total)) {
      left = "; " + std::to_string(free) + " of " + std::to_string(total) + " bytes are free";
    }
    throw OutOfMemoryError("cannot allocate " + std::to_string(bytes) + " bytes of GPU memory" +
                           left + " (" + message + ")");
  }
  check_cuda(failure);
  return DeviceMemory(memory);
}

PinnedMemory allocate_pinned_memory(size_t bytes) {
  void* memory = nullptr;
  const char* failure = cuda_ops().allocate_pinned(bytes, &memory);
  if (failure && std::strstr(failure, "cudaErrorMemoryAllocation")) {
    throw OutOfMemoryError("cannot allocate " + std::to_string(bytes) +
                           " bytes of pinned host memory (" + failure + ")");
  }
  check_cuda(failure);
  return PinnedMemory(memory);
}

CudaStream make_cuda_stream() {
  void* stream = nullptr;
  check_cuda(cuda_ops().make_stream(&stream));
  return CudaStream(stream);
}

}  // namespace zoo
