// TensorRT plans on a GPU.
#pragma once

#include <memory>

#include "backends/backend.h"

namespace zoo {

// Throws BackendUnavailableError, DeviceUnavailableError (no such device), EngineFileError.
std::unique_ptr<Backend> make_plan_backend(const BackendConfig& config);

}  // namespace zoo
