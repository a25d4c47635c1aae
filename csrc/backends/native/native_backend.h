// Backend with the library's own kernels, which depends on no other library. fp32 needs a CPU with
// AVX2 and FMA, bf16 one with AVX512-BF16, int8 one with AVX512-VNNI. Images are bitwise identical
// for all batch sizes and instances, and in fp32 also for all instruction sets.
#pragma once

#include <memory>
#include <string>

#include "backends/backend.h"

namespace zoo {

// Returns true if the CPU supports a precision.
bool native_can(const std::string& precision);
// Returns true if the CPU supports a precision and no other backend is expected to be faster. In
// bf16 on CPUs with matrix units (AMX), OpenVINO may be.
bool native_goes_first(const std::string& precision);
// Returns the instruction set of the fp32 kernels.
std::string native_version();
std::unique_ptr<Backend> make_native(const BackendConfig& config);

}  // namespace zoo
