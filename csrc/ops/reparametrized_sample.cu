#include "ops/cuda_launch.h"
#include "ops/sample_thread.h"

namespace zoo {
namespace {

template <typename Out, bool Vector, typename Index>
__global__ void __launch_bounds__(kThreads)
    sample_kernel(SampleArguments<Out> arguments, Index count) {
  const Index stride = static_cast<Index>(gridDim.x) * kThreads;
  for (Index thread = static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x; thread < count;
       thread += stride) {
    sample_thread<Out, Vector, Index>(arguments, thread);
  }
}

__global__ void advance_kernel(uint64_t* first, uint64_t samples) { *first += samples; }

template <typename Out, bool Vector>
const char* launch_indexed(const SampleArguments<Out>& arguments, cudaStream_t stream) {
  const size_t count = sample_threads<Out>(arguments.rows, arguments.width);
  const unsigned blocks = blocks_for(count);
  // 32 bits hold twice the threads, so that the last stride past the end does not wrap.
  if (count < (size_t{1} << 31)) {
    sample_kernel<Out, Vector, uint32_t>
        <<<blocks, kThreads, 0, stream>>>(arguments, static_cast<uint32_t>(count));
  } else {
    sample_kernel<Out, Vector, uint64_t><<<blocks, kThreads, 0, stream>>>(arguments, count);
  }
  return ZOO_CUDA(cudaGetLastError());
}

template <typename Out>
const char* launch_as(const SampleArguments<Out>& arguments, cudaStream_t stream) {
  const bool vector = arguments.width % kSampleLanes<Out> == 0 && is_aligned(arguments.h) &&
                      is_aligned(arguments.mu) && is_aligned(arguments.logvar);
  return vector ? launch_indexed<Out, true>(arguments, stream)
                : launch_indexed<Out, false>(arguments, stream);
}

}  // namespace

const char* launch_sample(const float* mu, const float* logvar, const NoiseKeys& keys, size_t rows,
                          size_t width, Real real, void* h, void* stream) {
  if (rows == 0 || width == 0) return nullptr;
  auto* queue = static_cast<cudaStream_t>(stream);
  return with_type(real, h, [&](auto* out) {
    using Out = std::remove_pointer_t<decltype(out)>;
    return launch_as<Out>({mu, logvar, keys, rows, width, out}, queue);
  });
}

const char* launch_advance(uint64_t* first, uint64_t samples, void* stream) {
  advance_kernel<<<1, 1, 0, static_cast<cudaStream_t>(stream)>>>(first, samples);
  return ZOO_CUDA(cudaGetLastError());
}

}  // namespace zoo
