// The C++ API of ONNX Runtime, whose library is opened at run time.
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

#include "backends/backend.h"
#include "format/tensors.h"

namespace zoo {

// Returns the API of the library, which is opened at the first call. Throws
// BackendUnavailableError. Thread-safe.
const OrtApiBase* ort_api_base();

// Name of the library for messages: "ONNX Runtime 1.21.0 (/…/libonnxruntime.so.1.21.0)".
std::string ort_name();

const Ort::Env& ort_environment();

ONNXTensorElementDataType ort_element_type(TensorType type);

// Checks the inputs and outputs of a session against the manifest. Throws EngineFileError.
GraphNoise find_noise(const Ort::Session& session, const std::string& path,
                      const Manifest& manifest);

// The domain "zoo" with both operators, on the CPU and on CUDA. Never destroyed.
OrtCustomOpDomain* custom_op_domain();
OrtCustomOpDomain* cuda_custom_op_domain();

}  // namespace zoo
