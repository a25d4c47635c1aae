// ONNX Runtime on the CPU, the reference backend. Its library is opened at run time.
#pragma once

#include <memory>
#include <string>

#include "backends/backend.h"

namespace zoo {

bool onnxruntime_can(const std::string& precision);
std::string onnxruntime_version();
std::unique_ptr<Backend> make_onnxruntime(const BackendConfig& config);

}  // namespace zoo
