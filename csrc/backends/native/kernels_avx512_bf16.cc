// AVX512-BF16: 16 sums of two products of bfloat16 each a vector. Compiled for it
// (csrc/CMakeLists.txt).
#define ZOO_LANES 16
#define ZOO_BF16
#include "backends/native/kernels_body.h"
// Below the kernels that it names.
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
