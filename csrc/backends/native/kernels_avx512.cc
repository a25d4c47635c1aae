// Kernels for AVX-512: 16 floats per vector, 32 registers. csrc/CMakeLists.txt sets the compiler
// flags.
#define ZOO_LANES 16
#include "backends/native/kernels_body.h"
// Must follow kernels_body.h, which defines make_tile.
#include "backends/native/kernels_tiles16.h"

namespace zoo::native {
extern const Kernels kAvx512Kernels;
constexpr Kernels kAvx512Kernels = make_kernels("avx512", kTiles);

}  // namespace zoo::native
