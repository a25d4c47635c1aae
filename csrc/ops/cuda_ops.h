// The operators on a CUDA device. They are a library of their own, libzoo_cuda.so,
// which is opened where it was built and there is a driver (backends/cuda/library.h).
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
  uint64_t memory;  // bytes, all of the device
};

// Functions return null, or what failed: the CUDA call, its place and CUDA's own
// words, in memory of the calling thread that lasts until its next failure.
// `stream` is a cudaStream_t, `graph` a cudaGraphExec_t. All is of the calling
// thread's current device; what takes a stream is asynchronous.
struct CudaOps {
  const char* (*device_count)(int* count);
  const char* (*device)(int index, CudaDevice* device);
  // Versions of CUDA, as 1000 * major + 10 * minor: the newest that the driver knows (0: there is
  // no driver), and the one that this library was built with.
  const char* (*versions)(int* driver, int* runtime);
  // Makes a device the calling thread's current one, until the same thread leaves it. What was
  // current before is so again then, be it no device at all, without being used for that.
  const char* (*enter_device)(int index);
  const char* (*leave_device)();
  // Index of the device of this memory; -1 for memory that no device has.
  const char* (*device_of)(const void* memory, int* index);
  // h[rows, width] of type `real`; mu, logvar null: the prior. Seed and index of row
  // 0's sample are in device memory: a captured graph is replayed for the next batch.
  const char* (*reparametrized_sample)(const float* mu, const float* logvar, const uint64_t* seed,
                                       const uint64_t* first, uint32_t noise_stream, size_t rows,
                                       size_t width, Real real, void* h, void* stream);
  // *first += samples, for the next replay.
  const char* (*advance)(uint64_t* first, uint64_t samples, void* stream);
  // h[rows, steps, width] of type `real`.
  const char* (*batched_interpolate)(const float* a, const float* b, const float* t,
                                     Interpolation mode, size_t rows, size_t steps, size_t width,
                                     Real real, void* h, void* stream);
  // float [rows, channels, pixels] to uint8 [rows, pixels, channels].
  const char* (*image_levels)(const float* images, size_t rows, size_t channels, size_t pixels,
                              uint8_t* levels, void* stream);

  // Bytes of the device that are free, and all of it.
  const char* (*memory)(uint64_t* free, uint64_t* total);
  // Memory of the device; *exhausted: it failed because there is not so much.
  const char* (*allocate)(size_t bytes, void** memory, bool* exhausted);
  const char* (*release)(void* memory);
  // Memory of the host that a device copies from and to by itself.
  const char* (*allocate_pinned)(size_t bytes, void** memory);
  const char* (*release_pinned)(void* memory);
  // From and to memory of either kind.
  const char* (*copy)(void* to, const void* from, size_t bytes, void* stream);
  const char* (*make_stream)(void** stream);
  const char* (*destroy_stream)(void* stream);
  const char* (*synchronize)(void* stream);
  // What this thread puts into the stream in between is kept as a graph, not done.
  const char* (*begin_capture)(void* stream);
  const char* (*end_capture)(void* stream, void** graph);
  const char* (*launch)(void* graph, void* stream);
  const char* (*destroy_graph)(void* graph);
};

// The table, or null for another number than the library's kCudaInterface (zoo_interfaces.h).
extern "C" const CudaOps* zoo_cuda_ops(uint64_t interface);

}  // namespace zoo
