// ONNX Runtime, opened at run time: the reference backend, there on every machine.
#pragma once

#include <memory>
#include <string>

#include "backends/backend.h"

namespace zoo {

bool onnxruntime_can(const std::string& precision);
std::string onnxruntime_version();
std::unique_ptr<Backend> make_onnxruntime(const BackendConfig& config);

}  // namespace zoo
