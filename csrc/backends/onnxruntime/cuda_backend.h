// ONNX Runtime's CUDA provider: .onnx engines on a GPU.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backends/backend.h"

namespace zoo {

// Rows of its runs, rising: no others, because CUDA graphs have fixed sizes.
std::vector<size_t> onnxruntime_cuda_sizes(const Manifest& manifest);

// precision: fp32 or tf32. Throws BackendUnavailableError, DeviceUnavailableError (no such device),
// EngineFileError, OutOfMemoryError.
std::unique_ptr<Backend> make_onnxruntime_cuda(const BackendConfig& config);

}  // namespace zoo
