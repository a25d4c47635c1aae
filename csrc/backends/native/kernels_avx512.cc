// Kernels for AVX-512: 16 floats per vector, 32 registers. csrc/CMakeLists.txt sets the compiler
// flags.
#define ZOO_LANES 16
#include "backends/native/kernels_body.h"
// Must follow kernels_body.h, which defines make_tile.
#include "backends/native/kernels_tiles16.h"

namespace zoo::native {
extern const Kernels kAvx512Kernels;
const Kernels kAvx512Kernels = {"avx512",
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
