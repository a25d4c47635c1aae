// AVX2 and FMA: 8 floats a vector, 16 registers. Compiled for them (csrc/CMakeLists.txt).
#define ZOO_LANES 8
#include "backends/native/kernels_body.h"

namespace zoo::native {
namespace {

constexpr Tile kTiles[] = {
    {6, 1, 1, tile<6, 1, 1>}, {4, 1, 1, tile<4, 1, 1>}, {3, 2, 1, tile<3, 2, 1>},
    {2, 2, 1, tile<2, 2, 1>}, {2, 1, 1, tile<2, 1, 1>}, {1, 4, 1, tile<1, 4, 1>},
    {1, 2, 1, tile<1, 2, 1>}, {1, 1, 1, tile<1, 1, 1>}, {6, 1, 2, tile<6, 1, 2>},
    {4, 1, 2, tile<4, 1, 2>}, {1, 4, 2, tile<1, 4, 2>}, {1, 1, 2, tile<1, 1, 2>},
};

}  // namespace

extern const Kernels kAvx2Kernels;
const Kernels kAvx2Kernels = {"avx2",     kTiles,    sizeof kTiles / sizeof kTiles[0],
                              pixel_norm, transpose, style,
                              add,        squash,    to_levels};

}  // namespace zoo::native
