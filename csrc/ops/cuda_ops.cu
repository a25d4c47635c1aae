#include "ops/cuda_ops.h"

#include "ops/cuda_launch.h"

namespace zoo {
namespace {

const char* device_count(int* count) {
  *count = 0;
  return ZOO_CUDA(cudaGetDeviceCount(count));
}

const char* device(int index, CudaDevice* device) {
  cudaDeviceProp properties;
  if (const char* failure = ZOO_CUDA(cudaGetDeviceProperties(&properties, index))) return failure;
  std::snprintf(device->name, sizeof device->name, "%s", properties.name);
  device->major = properties.major;
  device->minor = properties.minor;
  device->multiprocessors = properties.multiProcessorCount;
  device->memory = properties.totalGlobalMem;
  return nullptr;
}

const char* set_device(int index) { return ZOO_CUDA(cudaSetDevice(index)); }

const char* current_device(int* index) { return ZOO_CUDA(cudaGetDevice(index)); }

const char* device_of(const void* memory, int* index) {
  *index = -1;
  cudaPointerAttributes attributes;
  if (const char* failure = ZOO_CUDA(cudaPointerGetAttributes(&attributes, memory))) {
    return failure;
  }
  if (attributes.type == cudaMemoryTypeDevice || attributes.type == cudaMemoryTypeManaged) {
    *index = attributes.device;
  }
  return nullptr;
}

const char* enter_device_of(const void* memory, int* before) {
  int index = -1;
  if (const char* failure = device_of(memory, &index)) return failure;
  if (index < 0) return "the memory is not a CUDA device's";
  if (const char* failure = current_device(before)) return failure;
  return set_device(index);
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const CudaOps* zoo_cuda_ops(uint32_t version) {
  static const CudaOps table{
      device_count,  device,          enter_device_of, set_device,         current_device,
      device_of,     launch_sample,   launch_advance,  launch_interpolate, launch_levels,
      device_memory, allocate_device, release_device,  allocate_pinned,    release_pinned,
      copy_async,    make_stream,     destroy_stream,  synchronize_stream, begin_capture,
      end_capture,   launch_graph,    destroy_graph};
  return version == kCudaOpsVersion ? &table : nullptr;
}

}  // namespace zoo
