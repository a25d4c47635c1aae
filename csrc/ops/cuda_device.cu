// A device's memory, streams and graphs, for code that is not compiled by nvcc.
#include "ops/cuda_launch.h"

namespace zoo {
namespace {

cudaStream_t stream_of(void* stream) { return static_cast<cudaStream_t>(stream); }

}  // namespace

const char* device_memory(uint64_t* free, uint64_t* total) {
  size_t left = 0;
  size_t all = 0;
  const char* failure = ZOO_CUDA(cudaMemGetInfo(&left, &all));
  *free = left;
  *total = all;
  return failure;
}

const char* allocate_device(size_t bytes, void** memory, bool* exhausted) {
  const cudaError_t status = cudaMalloc(memory, bytes);
  *exhausted = status == cudaErrorMemoryAllocation;
  return ZOO_CUDA(status);
}

const char* release_device(void* memory) { return ZOO_CUDA(cudaFree(memory)); }

const char* allocate_pinned(size_t bytes, void** memory) {
  return ZOO_CUDA(cudaMallocHost(memory, bytes));
}

const char* release_pinned(void* memory) { return ZOO_CUDA(cudaFreeHost(memory)); }

const char* copy_async(void* to, const void* from, size_t bytes, void* stream) {
  return ZOO_CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_of(stream)));
}

const char* make_stream(void** stream) {
  cudaStream_t made = nullptr;
  const char* failure = ZOO_CUDA(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking));
  *stream = made;
  return failure;
}

const char* destroy_stream(void* stream) { return ZOO_CUDA(cudaStreamDestroy(stream_of(stream))); }

const char* synchronize_stream(void* stream) {
  return ZOO_CUDA(cudaStreamSynchronize(stream_of(stream)));
}

const char* begin_capture(void* stream) {
  // Other threads may allocate meanwhile; so may this one, where it runs Python, which collects its
  // garbage whenever it likes.
  return ZOO_CUDA(cudaStreamBeginCapture(stream_of(stream), cudaStreamCaptureModeRelaxed));
}

const char* end_capture(void* stream, void** graph) {
  *graph = nullptr;
  cudaGraph_t captured = nullptr;
  if (const char* failure = ZOO_CUDA(cudaStreamEndCapture(stream_of(stream), &captured))) {
    return failure;
  }
  cudaGraphExec_t made = nullptr;
  const char* failure = ZOO_CUDA(cudaGraphInstantiate(&made, captured, 0));
  // Its own failure would take the place of the message; what is made of it does not need it.
  cudaGraphDestroy(captured);
  *graph = made;
  return failure;
}

const char* launch_graph(void* graph, void* stream) {
  return ZOO_CUDA(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph), stream_of(stream)));
}

const char* destroy_graph(void* graph) {
  return ZOO_CUDA(cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph)));
}

}  // namespace zoo
