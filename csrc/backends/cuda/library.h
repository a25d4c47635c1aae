// libzoo_cuda.so, the operators' CUDA kernels, opened when they are first asked for.
#pragma once

#include <string>
#include <vector>

#include "ops/cuda_ops.h"
#include "zoo/export.h"

namespace zoo {

// The kernels. Throws BackendUnavailableError where they were not built, and
// DeviceUnavailableError where there is no driver or no device, saying which.
// Thread-safe.
ZOO_API const CudaOps& cuda_ops();

// The devices, at least one; throws as cuda_ops.
ZOO_API std::vector<CudaDevice> cuda_devices();

// The device of that number. Where there is none, DeviceUnavailableError begins with who wants it
// and ends with what can be done without; else throws as cuda_ops.
CudaDevice cuda_device(int number, const std::string& who, const std::string& without);

// Throws ExecutionError for a message that one of CudaOps returned.
ZOO_API void check_cuda(const char* failure);

}  // namespace zoo
