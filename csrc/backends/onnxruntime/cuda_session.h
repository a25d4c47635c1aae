// Sessions of ONNX Runtime's CUDA provider.
#pragma once

#include <string>

#include "backends/backend.h"
#include "backends/onnxruntime/ort_api.h"

namespace zoo {

// Throws BackendUnavailableError if the library has no CUDA provider.
void require_cuda_provider();

struct CudaSession {
  Ort::Session session{nullptr};
  // Why ONNX Runtime does not support CUDA graphs of its runs; empty if it does.
  std::string no_graph;
};

// Opens a session whose runs are enqueued into the stream, which must outlive it. One thread at a
// time may run it. Throws BackendUnavailableError, OutOfMemoryError, EngineFileError.
CudaSession open_cuda_session(const BackendConfig& config, void* stream);

// Returns the symbolic name of the batch axis; empty if the graph has a fixed batch.
std::string batch_axis_name(const Ort::Session& session);

// Opens a session for runs of one size, in which computed shapes are folded to constants. Returns
// null if its runs do not support CUDA graphs. Throws as open_cuda_session.
Ort::Session open_fixed_size_session(const BackendConfig& config, void* stream,
                                     const std::string& batch_axis, size_t rows);

// Throws ExecutionError, or OutOfMemoryError if the message says so.
[[noreturn]] void throw_run_failure(const Ort::Exception& error);

}  // namespace zoo
