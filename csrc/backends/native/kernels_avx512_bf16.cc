// Kernels for AVX512-BF16: each instruction adds two bfloat16 products to each of the 16 sums of a
// vector. csrc/CMakeLists.txt sets the compiler flags.
#define ZOO_LANES 16
#define ZOO_BF16
#include "backends/native/kernels_body.h"
// Must follow kernels_body.h, which defines make_tile.
#include "backends/native/kernels_tiles16.h"

namespace zoo::native {
extern const Kernels kAvx512Bf16Kernels;
constexpr Kernels kAvx512Bf16Kernels = make_kernels("avx512-bf16", kTiles);

}  // namespace zoo::native
