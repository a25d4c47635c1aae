// AVX512-BF16: 16 sums of two products of bfloat16 each a vector. Compiled for it
// (csrc/CMakeLists.txt).
#define ZOO_LANES 16
#define ZOO_BF16
#include "backends/native/kernels_body.h"

namespace zoo::native {
namespace {

constexpr Tile kTiles[] = {
    make_tile<8, 3>(),    make_tile<8, 2>(),    make_tile<8, 1>(),    make_tile<14, 2>(),
    make_tile<14, 1>(),   make_tile<16, 1>(),   make_tile<7, 4>(),    make_tile<7, 2>(),
    make_tile<7, 1>(),    make_tile<4, 6>(),    make_tile<4, 4>(),    make_tile<4, 2>(),
    make_tile<4, 1>(),    make_tile<2, 4>(),    make_tile<2, 2>(),    make_tile<2, 1>(),
    make_tile<1, 4>(),    make_tile<1, 2>(),    make_tile<1, 1>(),    make_tile<8, 2, 2>(),
    make_tile<8, 1, 2>(), make_tile<7, 4, 2>(), make_tile<7, 2, 2>(), make_tile<7, 1, 2>(),
    make_tile<4, 4, 2>(), make_tile<4, 2, 2>(), make_tile<4, 1, 2>(), make_tile<1, 4, 2>(),
    make_tile<1, 1, 2>(),
};

}  // namespace

extern const Kernels kAvx512Bf16Kernels;
const Kernels kAvx512Bf16Kernels = {
    "avx512-bf16", sizeof(Element), kTiles,      sizeof kTiles / sizeof kTiles[0],
    pack,          load_block,      store_block, pixel_norm,
    transpose,     style,           add,         squash,
    to_levels};

}  // namespace zoo::native
