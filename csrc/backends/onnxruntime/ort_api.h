// The C++ face of ONNX Runtime's C API, whose library is opened by name.
#pragma once

#ifndef ORT_API_MANUAL_INIT
#define ORT_API_MANUAL_INIT
#endif
#if __has_include(<onnxruntime/onnxruntime_cxx_api.h>)
#include <onnxruntime/onnxruntime_cxx_api.h>
#else
#include <onnxruntime_cxx_api.h>
#endif

#include <string>

#include "format/tensors.h"

namespace zoo {

// The library, opened at the first call. Throws BackendUnavailableError. Thread-safe.
const OrtApiBase* ort_api_base();

// What it is called in messages: "ONNX Runtime 1.21.0 (/…/libonnxruntime.so.1.21.0)".
std::string ort_name();

const Ort::Env& ort_environment();

ONNXTensorElementDataType ort_element_type(TensorType type);

// Whether the session's graph has the noise operator. Throws EngineFileError where its inputs and
// outputs are not what the manifest says.
bool graph_draws(const Ort::Session& session, const std::string& path, const Manifest& manifest);

// The domain "zoo" with both operators, on the CPU and on CUDA; they live as long as the process.
OrtCustomOpDomain* custom_op_domain();
OrtCustomOpDomain* cuda_custom_op_domain();

}  // namespace zoo
