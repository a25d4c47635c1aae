// Kernels for AVX2 and FMA: 8 floats per vector, 16 registers. csrc/CMakeLists.txt sets the
// compiler flags.
#define ZOO_LANES 8
#include "backends/native/kernels_body.h"

namespace zoo::native {
namespace {

constexpr Tile kTiles[] = {
    make_tile<6, 1>(),    make_tile<4, 1>(),    make_tile<3, 2>(),    make_tile<2, 2>(),
    make_tile<2, 1>(),    make_tile<1, 4>(),    make_tile<1, 2>(),    make_tile<1, 1>(),
    make_tile<6, 1, 0>(), make_tile<4, 1, 0>(), make_tile<1, 4, 0>(), make_tile<1, 1, 0>(),
    make_tile<6, 1, 2>(), make_tile<4, 1, 2>(), make_tile<1, 4, 2>(), make_tile<1, 1, 2>(),
};

}  // namespace

extern const Kernels kAvx2Kernels;
constexpr Kernels kAvx2Kernels = make_kernels("avx2", kTiles);

}  // namespace zoo::native
