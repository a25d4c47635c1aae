// Kernels for AArch64: 4 floats per vector, 32 registers. Every such CPU has fused multiply-adds
// and conversions from half precision.
#define ZOO_LANES 4
#include "backends/native/kernels_body.h"

namespace zoo::native {
namespace {

constexpr Tile kTiles[] = {
    make_tile<6, 1>(),    make_tile<4, 1>(),    make_tile<2, 2>(),    make_tile<2, 1>(),
    make_tile<1, 4>(),    make_tile<1, 2>(),    make_tile<1, 1>(),    make_tile<6, 1, 0>(),
    make_tile<4, 1, 0>(), make_tile<1, 4, 0>(), make_tile<1, 1, 0>(), make_tile<6, 1, 2>(),
    make_tile<4, 1, 2>(), make_tile<1, 4, 2>(), make_tile<1, 1, 2>(),
};

}  // namespace

extern const Kernels kNeonKernels;
constexpr Kernels kNeonKernels = make_kernels("neon", kTiles);

}  // namespace zoo::native
