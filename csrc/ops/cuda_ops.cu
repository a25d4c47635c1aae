#include "ops/cuda_ops.h"

#include "ops/cuda_launch.h"
#include "zoo_interfaces.h"

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

const char* versions(int* driver, int* runtime) {
  *driver = *runtime = 0;
  if (const char* failure = ZOO_CUDA(cudaRuntimeGetVersion(runtime))) return failure;
  return ZOO_CUDA(cudaDriverGetVersion(driver));
}

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

}  // namespace

extern "C" __attribute__((visibility("default"))) const CudaOps* zoo_cuda_ops(uint64_t interface) {
  static const CudaOps table{
      device_count,  device,          versions,       enter_device,       leave_device,
      device_of,     launch_sample,   launch_advance, launch_interpolate, launch_levels,
      device_memory, allocate_device, release_device, allocate_pinned,    release_pinned,
      copy_async,    make_stream,     destroy_stream, synchronize_stream, begin_capture,
      end_capture,   launch_graph,    destroy_graph};
  return interface == kCudaInterface ? &table : nullptr;
}

}  // namespace zoo
