// Owners of what a CUDA device gives: memory, streams, graphs. Each belongs to the device that
// was current when it was made, which must be current when it goes.
#pragma once

#include <cstddef>
#include <new>
#include <utility>

#include "backends/cuda/library.h"

namespace zoo {

// A handle that is let go of by a function of CudaOps.
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
  // A failure here has been told of by the call that caused it.
  ~CudaHandle() {
    if (handle_) (cuda_ops().*Release)(handle_);
  }

  // The handle, which this no longer owns.
  void* leave() { return std::exchange(handle_, nullptr); }

  void* get() const { return handle_; }
  unsigned char* bytes() const { return static_cast<unsigned char*>(handle_); }

 private:
  void* handle_ = nullptr;
};

using DeviceMemory = CudaHandle<&CudaOps::release>;
using PinnedMemory = CudaHandle<&CudaOps::release_pinned>;
using CudaStream = CudaHandle<&CudaOps::destroy_stream>;
using CudaGraph = CudaHandle<&CudaOps::destroy_graph>;

// Makes a device the calling thread's current one, for a scope; then what was before is again.
class ZOO_API OnDevice {
 public:
  // Throws ExecutionError.
  explicit OnDevice(int device);
  // For destructors: goes on without it.
  OnDevice(int device, std::nothrow_t) noexcept;
  OnDevice(const OnDevice&) = delete;
  ~OnDevice();

 private:
  bool entered_ = false;
};

// Throw ExecutionError; the first OutOfMemoryError where the device has not so much.
ZOO_API DeviceMemory allocate_device_memory(size_t bytes);
ZOO_API PinnedMemory allocate_pinned_memory(size_t bytes);
ZOO_API CudaStream make_cuda_stream();

// What `work` puts into the stream, as a graph. Throws what it throws; nothing is left under
// capture.
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
  CudaGraph made(graph);
  check_cuda(failure);
  return made;
}

}  // namespace zoo
