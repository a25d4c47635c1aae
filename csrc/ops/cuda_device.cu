// Memory, streams and graphs of a device, for code that is not compiled by nvcc.
#include "ops/cuda_launch.h"

namespace zoo {
namespace {

cudaStream_t as_stream(void* stream) { return static_cast<cudaStream_t>(stream); }

}  // namespace

const char* device_memory(uint64_t* free, uint64_t* total) {
  size_t free_bytes = 0;
  size_t total_bytes = 0;
  const char* failure = ZOO_CUDA(cudaMemGetInfo(&free_bytes, &total_bytes));
  *free = free_bytes;
  *total = total_bytes;
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
  return ZOO_CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, as_stream(stream)));
}

const char* make_stream(void** stream) {
  cudaStream_t created = nullptr;
  const char* failure = ZOO_CUDA(cudaStreamCreateWithFlags(&created, cudaStreamNonBlocking));
  *stream = created;
  return failure;
}

const char* destroy_stream(void* stream) { return ZOO_CUDA(cudaStreamDestroy(as_stream(stream))); }

const char* synchronize_stream(void* stream) {
  return ZOO_CUDA(cudaStreamSynchronize(as_stream(stream)));
}

const char* begin_capture(void* stream) {
  // Relaxed, because other threads may allocate meanwhile, and so may this one, when Python
  // collects garbage.
  return ZOO_CUDA(cudaStreamBeginCapture(as_stream(stream), cudaStreamCaptureModeRelaxed));
}

const char* end_capture(void* stream, void** graph) {
  *graph = nullptr;
  cudaGraph_t captured = nullptr;
  if (const char* failure = ZOO_CUDA(cudaStreamEndCapture(as_stream(stream), &captured))) {
    return failure;
  }
  cudaGraphExec_t executable = nullptr;
  const char* failure = ZOO_CUDA(cudaGraphInstantiate(&executable, captured, 0));
  // The executable graph no longer needs it. Its status is ignored, because it would overwrite the
  // message.
  cudaGraphDestroy(captured);
  *graph = executable;
  return failure;
}

const char* launch_graph(void* graph, void* stream) {
  return ZOO_CUDA(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph), as_stream(stream)));
}

const char* destroy_graph(void* graph) {
  return ZOO_CUDA(cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph)));
}

}  // namespace zoo
