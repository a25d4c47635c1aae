// AVX-512: 16 floats a vector, 32 registers. Compiled for it (csrc/CMakeLists.txt).
#define ZOO_LANES 16
#include "backends/native/kernels_body.h"

namespace zoo::native {
namespace {

constexpr Tile kTiles[] = {
    {8, 3, 1, tile<8, 3, 1>},   {8, 2, 1, tile<8, 2, 1>},   {8, 1, 1, tile<8, 1, 1>},
    {14, 2, 1, tile<14, 2, 1>}, {14, 1, 1, tile<14, 1, 1>}, {16, 1, 1, tile<16, 1, 1>},
    {7, 4, 1, tile<7, 4, 1>},   {7, 2, 1, tile<7, 2, 1>},   {7, 1, 1, tile<7, 1, 1>},
    {4, 6, 1, tile<4, 6, 1>},   {4, 4, 1, tile<4, 4, 1>},   {4, 2, 1, tile<4, 2, 1>},
    {4, 1, 1, tile<4, 1, 1>},   {2, 4, 1, tile<2, 4, 1>},   {2, 2, 1, tile<2, 2, 1>},
    {2, 1, 1, tile<2, 1, 1>},   {1, 4, 1, tile<1, 4, 1>},   {1, 2, 1, tile<1, 2, 1>},
    {1, 1, 1, tile<1, 1, 1>},   {8, 2, 2, tile<8, 2, 2>},   {8, 1, 2, tile<8, 1, 2>},
    {7, 4, 2, tile<7, 4, 2>},   {7, 2, 2, tile<7, 2, 2>},   {7, 1, 2, tile<7, 1, 2>},
    {4, 4, 2, tile<4, 4, 2>},   {4, 2, 2, tile<4, 2, 2>},   {4, 1, 2, tile<4, 1, 2>},
    {1, 4, 2, tile<1, 4, 2>},   {1, 1, 2, tile<1, 1, 2>},
};

}  // namespace

extern const Kernels kAvx512Kernels;
const Kernels kAvx512Kernels = {"avx512",   kTiles,    sizeof kTiles / sizeof kTiles[0],
                                pixel_norm, transpose, style,
                                add,        squash,    to_levels};

}  // namespace zoo::native
