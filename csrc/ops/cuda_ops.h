// The operators on a CUDA device, in a library of their own, libzoo_cuda.so, which is opened if it
// was built and there is a driver (backends/cuda/library.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/batched_interpolate.h"
#include "ops/sample_thread.h"

namespace zoo {

enum class Real : int32_t { kFloat32, kFloat16, kBFloat16 };

struct CudaDevice {
  char name[256];
  int32_t major;  // compute capability
  int32_t minor;
  int32_t multiprocessors;
  uint64_t memory;  // total bytes
};

// Functions return null or an error message: the CUDA call, its place and CUDA's message. It is
// valid until the next error in the calling thread. `stream` is a cudaStream_t, `graph` a
// cudaGraphExec_t. Functions use the current device of the calling thread; those that take a stream
// are asynchronous.
struct CudaOps {
  const char* (*device_count)(int* count);
  const char* (*device)(int index, CudaDevice* device);
  // Versions of CUDA, as 1000 * major + 10 * minor: the newest that the driver supports (0: there
  // is no driver), and that of this library.
  const char* (*versions)(int* driver, int* runtime);
  // Makes a device current for the calling thread, until it calls leave_device. That restores what
  // was current before, which may be no device, without creating a context on it.
  const char* (*enter_device)(int index);
  const char* (*leave_device)();
  // Index of the device that owns this memory; -1 for host memory.
  const char* (*device_of)(const void* memory, int* index);
  // h[rows, width] of type `real`; the prior if mu and logvar are null. The keys are in device
  // memory, so that a graph can be replayed for other batches.
  const char* (*reparametrized_sample)(const float* mu, const float* logvar, const NoiseKeys& keys,
                                       size_t rows, size_t width, Real real, void* h, void* stream);
  // *first += samples, for the next replay.
  const char* (*advance)(uint64_t* first, uint64_t samples, void* stream);
  // h[rows, steps, width] of type `real`.
  const char* (*batched_interpolate)(const float* a, const float* b, const float* t,
                                     Interpolation mode, size_t rows, size_t steps, size_t width,
                                     Real real, void* h, void* stream);
  // float [rows, channels, pixels] to uint8 [rows, pixels, channels].
  const char* (*image_levels)(const float* images, size_t rows, size_t channels, size_t pixels,
                              uint8_t* levels, void* stream);

  // Free and total bytes of device memory.
  const char* (*memory)(uint64_t* free, uint64_t* total);
  // Allocates device memory; *exhausted is set if the device is out of memory.
  const char* (*allocate)(size_t bytes, void** memory, bool* exhausted);
  const char* (*release)(void* memory);
  // Allocates page-locked host memory.
  const char* (*allocate_pinned)(size_t bytes, void** memory);
  const char* (*release_pinned)(void* memory);
  // Copies between any of host and device memory.
  const char* (*copy)(void* to, const void* from, size_t bytes, void* stream);
  const char* (*make_stream)(void** stream);
  const char* (*destroy_stream)(void* stream);
  const char* (*synchronize)(void* stream);
  // Capture what this thread enqueues in between as a graph, without executing it.
  const char* (*begin_capture)(void* stream);
  const char* (*end_capture)(void* stream, void** graph);
  const char* (*launch)(void* graph, void* stream);
  const char* (*destroy_graph)(void* graph);
};

// Returns the table, or null if `interface` is not kCudaInterface of the library
// (zoo_interfaces.h).
extern "C" const CudaOps* zoo_cuda_ops(uint64_t interface);

}  // namespace zoo
