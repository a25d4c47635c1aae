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
const Kernels kAvx2Kernels = {"avx2",
                              sizeof(Element),
                              kTiles,
                              sizeof kTiles / sizeof kTiles[0],
                              pack,
                              pack_halves,
                              from_levels,
                              load_block,
                              store_block,
                              pixel_norm,
                              transpose,
                              instance_norm,
                              transform_kernel,
                              transform_window,
                              transform_products,
                              combine,
                              add,
                              correlate,
                              squash,
                              spin,
                              to_levels};

}  // namespace zoo::native
