// Kernels for AVX512-BF16: each instruction adds two bfloat16 products to each of the 16 sums of a
// vector. csrc/CMakeLists.txt sets the compiler flags.
#define ZOO_LANES 16
#define ZOO_BF16
#include "backends/native/kernels_body.h"
// Must follow kernels_body.h, which defines make_tile.
#include "backends/native/kernels_tiles16.h"

namespace zoo::native {
extern const Kernels kAvx512Bf16Kernels;
const Kernels kAvx512Bf16Kernels = {"avx512-bf16",
                                    sizeof(Element),
                                    kTiles,
                                    sizeof kTiles / sizeof kTiles[0],
                                    pack,
                                    nullptr,
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
