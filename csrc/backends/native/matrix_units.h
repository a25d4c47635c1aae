// Matrix units for bfloat16 and bytes (AMX): detection, and the kernels that use them.
#pragma once

#include "backends/native/kernels.h"

namespace zoo::native {

// Returns true if this CPU has matrix units for both.
bool has_matrix_units();

// Returns true if this process may use the matrix units. Linux, since 5.16, grants their registers
// on request, to all threads of the process.
bool request_matrix_units();

// Return the AVX512-BF16 and the AVX512-VNNI kernels with tiles for the matrix units. Call only if
// they may be used.
const Kernels& matrix_kernels();
const Kernels& byte_matrix_kernels();

}  // namespace zoo::native
