#include "ops/cuda_launch.h"
#include "ops/half_float.h"
#include "ops/interpolate_parts.h"

namespace zoo {
namespace {

// Number of steps whose weights a block holds at a time.
constexpr unsigned kSteps = kThreads;

// Returns the sum over the block to all threads, in double as on the CPU.
__device__ double block_sum(double value, double* partial) {
  for (int offset = 16; offset > 0; offset /= 2) {
    value += __shfl_down_sync(0xffffffffu, value, offset);
  }
  __syncthreads();
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = value;
  __syncthreads();
  double sum = 0.0;
  for (unsigned warp = 0; warp < kThreads / 32; ++warp) sum += partial[warp];
  return sum;
}

__device__ float row_cosine(const float* a, const float* b, size_t width, double* partial) {
  double dot = 0.0;
  double aa = 0.0;
  double bb = 0.0;
  for (size_t i = threadIdx.x; i < width; i += kThreads) {
    dot += static_cast<double>(a[i]) * b[i];
    aa += static_cast<double>(a[i]) * a[i];
    bb += static_cast<double>(b[i]) * b[i];
  }
  dot = block_sum(dot, partial);
  const double norms = sqrt(block_sum(aa, partial) * block_sum(bb, partial));
  return norms > 0.0 ? static_cast<float>(dot / norms) : 1.0f;
}

// A block computes a part of a row; neighbouring threads write neighbouring values.
template <typename Out>
__global__ void __launch_bounds__(kThreads)
    interpolate_kernel(const float* a, const float* b, const float* t, bool spherical, size_t rows,
                       size_t steps, size_t width, size_t parts, Out* h) {
  __shared__ double partial[kThreads / 32];
  __shared__ float weights[2][kSteps];
  for (size_t block = blockIdx.x; block < rows * parts; block += gridDim.x) {
    const InterpolatePart part = interpolate_part(block, parts, steps, width);
    const float* from = a + part.row * width;
    const float* to = b + part.row * width;
    const float cosine = spherical ? row_cosine(from, to, width, partial) : 0.0f;
    Out* out = h + part.row * steps * width;
    const size_t last = (part.end + width - 1) / width;
    for (size_t start = part.begin / width; start < last; start += kSteps) {
      const size_t count = min(static_cast<size_t>(kSteps), last - start);
      __syncthreads();
      if (threadIdx.x < count) {
        const float step = t[start + threadIdx.x];
        if (spherical) {
          spherical_weights(cosine, step, &weights[0][threadIdx.x], &weights[1][threadIdx.x]);
        } else {
          weights[0][threadIdx.x] = step;
        }
      }
      __syncthreads();
      const size_t begin = max(part.begin, start * width);
      const size_t end = min(part.end, (start + count) * width);
      for (size_t i = begin + threadIdx.x; i < end; i += kThreads) {
        const size_t at = i / width;
        const size_t element = i - at * width;
        const size_t step = at - start;
        const float value = spherical
                                ? weights[0][step] * from[element] + weights[1][step] * to[element]
                                : interpolate_linear(from[element], to[element], weights[0][step]);
        out[i] = from_float<Out>(value);
      }
    }
  }
}

template <typename Out>
const char* launch_as(const float* a, const float* b, const float* t, Interpolation mode,
                      size_t rows, size_t steps, size_t width, Out* h, cudaStream_t stream) {
  const size_t parts = interpolate_parts(rows, steps, width);
  const auto blocks = static_cast<unsigned>(std::min(rows * parts, size_t{1} << 30));
  interpolate_kernel<Out><<<blocks, kThreads, 0, stream>>>(
      a, b, t, mode == Interpolation::kSpherical, rows, steps, width, parts, h);
  return ZOO_CUDA(cudaGetLastError());
}

}  // namespace

const char* launch_interpolate(const float* a, const float* b, const float* t, Interpolation mode,
                               size_t rows, size_t steps, size_t width, Real real, void* h,
                               void* stream) {
  if (rows == 0 || steps == 0 || width == 0) return nullptr;
  auto* queue = static_cast<cudaStream_t>(stream);
  return with_type(
      real, h, [&](auto* out) { return launch_as(a, b, t, mode, rows, steps, width, out, queue); });
}

}  // namespace zoo
