// libzoo_cuda.so, the CUDA kernels of the operators, opened at their first use.
#pragma once

#include <string>
#include <vector>

#include "ops/cuda_ops.h"
#include "zoo/export.h"

namespace zoo {

// Returns the kernels. Throws BackendUnavailableError if they were not built,
// DeviceUnavailableError if there is no driver or no device. Thread-safe.
ZOO_API const CudaOps& cuda_ops();

// Returns the devices, at least one. Throws as cuda_ops.
ZOO_API std::vector<CudaDevice> cuda_devices();

// Returns the device with that number. Throws as cuda_ops, with messages that begin with `context`
// and end with `hint`, and DeviceUnavailableError if there is no such device.
CudaDevice cuda_device(int number, const std::string& context, const std::string& hint);

// Throws ExecutionError if a function of CudaOps has returned a message.
ZOO_API void check_cuda(const char* failure);

}  // namespace zoo
