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

namespace zoo {

// The domain "zoo" with both operators; lives as long as the process.
OrtCustomOpDomain* custom_op_domain();

}  // namespace zoo
