// The backend of this library's own kernels: no other library, 32-bit floats, CPUs with AVX2 and
// FMA. Images are the same bytes for every batch size, instance and instruction set.
#pragma once

#include <memory>
#include <string>

#include "backends/backend.h"

namespace zoo {

bool native_can(const std::string& precision);
std::string native_version();
std::unique_ptr<Backend> make_native(const BackendConfig& config);

}  // namespace zoo
