// Backend for .onnx engines on a GPU: the CUDA provider of ONNX Runtime.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backends/backend.h"

namespace zoo {

// Possible numbers of rows of a run, rising. They are fixed because runs are CUDA graphs.
std::vector<size_t> onnxruntime_cuda_sizes(const Manifest& manifest);

// precision: fp32 or tf32. Throws BackendUnavailableError, DeviceUnavailableError (no such device),
// EngineFileError, OutOfMemoryError.
std::unique_ptr<Backend> make_onnxruntime_cuda(const BackendConfig& config);

}  // namespace zoo
