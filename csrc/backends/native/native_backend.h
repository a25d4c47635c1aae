// The backend of this library's own kernels, which needs no other library: fp32 on CPUs with AVX2
// and FMA, bf16 on those with AVX512-BF16. Images are the same bytes for every batch size and
// instance; in fp32 in every instruction set.
#pragma once

#include <memory>
#include <string>

#include "backends/backend.h"

namespace zoo {

bool native_can(const std::string& precision);
// Whether no other backend is faster: in bf16 on CPUs with matrix units (AMX), OpenVINO may be.
bool native_goes_first(const std::string& precision);
std::string native_version();
std::unique_ptr<Backend> make_native(const BackendConfig& config);

}  // namespace zoo
