// Launching of kernels and error messages, for sources compiled by nvcc.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>

#include "ops/cuda_ops.h"

namespace zoo {

constexpr unsigned kThreads = 256;

// Returns null for success, else the message.
inline const char* cuda_failure(cudaError_t status, const char* call, const char* file, int line) {
  if (status == cudaSuccess) return nullptr;
  // Clears the error, which would otherwise be reported for the next launch.
  cudaGetLastError();
  static thread_local char message[512];
  std::snprintf(message, sizeof message, "%s (%s:%d): %s: %s", call, file, line,
                cudaGetErrorName(status), cudaGetErrorString(status));
  return message;
}

#define ZOO_CUDA(call) ::zoo::cuda_failure((call), #call, __FILE_NAME__, __LINE__)

inline unsigned blocks_for(size_t threads) {
  // The first dimension of a grid is limited to 2^31 - 1; kernels stride over the rest.
  constexpr size_t kMaxBlocks = size_t{1} << 30;
  return static_cast<unsigned>(std::min((threads + kThreads - 1) / kThreads, kMaxBlocks));
}

inline bool is_aligned(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer) % 16 == 0;
}

// Returns call(h cast to its type), or a message for an unknown type.
template <typename Call>
const char* with_type(Real real, void* h, const Call& call) {
  switch (real) {
    case Real::kFloat32:
      return call(static_cast<float*>(h));
    case Real::kFloat16:
      return call(static_cast<Float16*>(h));
    case Real::kBFloat16:
      return call(static_cast<BFloat16*>(h));
  }
  return "h: unknown type";
}

// The operators, one source each.
const char* launch_sample(const float* mu, const float* logvar, const NoiseKeys& keys, size_t rows,
                          size_t width, Real real, void* h, void* stream);
const char* launch_advance(uint64_t* first, uint64_t samples, void* stream);
const char* launch_interpolate(const float* a, const float* b, const float* t, Interpolation mode,
                               size_t rows, size_t steps, size_t width, Real real, void* h,
                               void* stream);
const char* launch_levels(const float* images, size_t rows, size_t channels, size_t pixels,
                          uint8_t* levels, void* stream);

// The current device (cuda_context.cu).
const char* enter_device(int index);
const char* leave_device();

// Memory, streams and graphs (cuda_device.cu).
const char* device_memory(uint64_t* free, uint64_t* total);
const char* allocate_device(size_t bytes, void** memory, bool* exhausted);
const char* release_device(void* memory);
const char* allocate_pinned(size_t bytes, void** memory);
const char* release_pinned(void* memory);
const char* copy_async(void* to, const void* from, size_t bytes, void* stream);
const char* make_stream(void** stream);
const char* destroy_stream(void* stream);
const char* synchronize_stream(void* stream);
const char* begin_capture(void* stream);
const char* end_capture(void* stream, void** graph);
const char* launch_graph(void* graph, void* stream);
const char* destroy_graph(void* graph);

}  // namespace zoo
