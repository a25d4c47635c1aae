#include "ops/image_levels.h"

#include "ops/cuda_launch.h"

namespace zoo {
namespace {

__global__ void __launch_bounds__(kThreads) level_kernel(LevelArguments arguments, size_t count) {
  const size_t stride = static_cast<size_t>(gridDim.x) * kThreads;
  for (size_t thread = static_cast<size_t>(blockIdx.x) * kThreads + threadIdx.x; thread < count;
       thread += stride) {
    level_thread(arguments, thread);
  }
}

}  // namespace

const char* launch_levels(const float* images, size_t rows, size_t channels, size_t pixels,
                          uint8_t* levels, void* stream) {
  const LevelArguments arguments{images, rows, channels, pixels, levels};
  const size_t count = level_threads(arguments);
  if (count == 0 || channels == 0) return nullptr;
  level_kernel<<<blocks_for(count), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(arguments,
                                                                                      count);
  return ZOO_CUDA(cudaGetLastError());
}

}  // namespace zoo
