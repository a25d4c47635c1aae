// Owners of CUDA resources: memory, streams, graphs. Each belongs to the device that was current
// when it was created, which must be current when it is destroyed.
#pragma once

#include <cstddef>
#include <new>
#include <utility>

#include "backends/cuda/library.h"

namespace zoo {

// A handle that is released by a function of CudaOps.
template <const char* (*CudaOps::*Release)(void*)>
class CudaHandle {
 public:
  CudaHandle() = default;
  explicit CudaHandle(void* handle) : handle_(handle) {}
  CudaHandle(CudaHandle&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  CudaHandle& operator=(CudaHandle&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  // An error here has already been reported by the call that caused it.
  ~CudaHandle() {
    if (handle_) (cuda_ops().*Release)(handle_);
  }

  // Gives up ownership of the handle and returns it.
  void* release() { return std::exchange(handle_, nullptr); }

  void* get() const { return handle_; }
  unsigned char* bytes() const { return static_cast<unsigned char*>(handle_); }

 private:
  void* handle_ = nullptr;
};

using DeviceMemory = CudaHandle<&CudaOps::release>;
using PinnedMemory = CudaHandle<&CudaOps::release_pinned>;
using CudaStream = CudaHandle<&CudaOps::destroy_stream>;
using CudaGraph = CudaHandle<&CudaOps::destroy_graph>;

// Makes a device current for the calling thread within a scope, and restores the previous one.
class ZOO_API OnDevice {
 public:
  // Throws ExecutionError.
  explicit OnDevice(int device);
  // For destructors: ignores errors.
  OnDevice(int device, std::nothrow_t) noexcept;
  OnDevice(const OnDevice&) = delete;
  ~OnDevice();

 private:
  bool entered_ = false;
};

// Throw OutOfMemoryError, ExecutionError.
ZOO_API DeviceMemory allocate_device_memory(size_t bytes);
ZOO_API PinnedMemory allocate_pinned_memory(size_t bytes);
ZOO_API CudaStream make_cuda_stream();

// Captures what `work` enqueues into the stream as a graph. If `work` throws, the capture is ended
// and the exception rethrown.
template <typename Work>
CudaGraph capture_graph(const CudaStream& stream, const Work& work) {
  const CudaOps& ops = cuda_ops();
  check_cuda(ops.begin_capture(stream.get()));
  void* graph = nullptr;
  try {
    work();
  } catch (...) {
    ops.end_capture(stream.get(), &graph);
    if (graph) ops.destroy_graph(graph);
    throw;
  }
  const char* failure = ops.end_capture(stream.get(), &graph);
  CudaGraph captured(graph);
  check_cuda(failure);
  return captured;
}

}  // namespace zoo
