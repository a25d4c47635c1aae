// A session of ONNX Runtime's CUDA provider.
#pragma once

#include <string>

#include "backends/backend.h"
#include "backends/onnxruntime/ort_api.h"

namespace zoo {

// Throws BackendUnavailableError where the library has no CUDA provider.
void require_cuda_provider();

struct CudaSession {
  Ort::Session session{nullptr};
  // Why ONNX Runtime says that its runs are no CUDA graph; empty: they can be captured.
  std::string no_graph;
};

// All work of its runs goes into the stream, which must outlive it. One thread at a time runs it.
// Throws BackendUnavailableError, OutOfMemoryError, EngineFileError.
CudaSession open_cuda_session(const BackendConfig& config, void* stream);

// What the graph calls the number of rows; empty where it has a number.
std::string name_of_rows(const Ort::Session& session);

// For runs of one size: shapes that are computed are constants then, and what computes them is
// gone. Null where its runs are no CUDA graph. Throws as above.
Ort::Session open_cuda_session_of(const BackendConfig& config, void* stream,
                                  const std::string& name_of_rows, size_t rows);

// As ExecutionError, or OutOfMemoryError where that is what ONNX Runtime says.
[[noreturn]] void throw_run_failure(const Ort::Exception& error);

}  // namespace zoo
