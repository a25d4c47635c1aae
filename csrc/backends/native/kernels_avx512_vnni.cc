// Tiles for AVX512-VNNI: each instruction adds four products of bytes to each of the 16 sums of a
// vector, which are exact integers. csrc/CMakeLists.txt sets the compiler flags.
#define ZOO_LANES 16
#define ZOO_BYTES
#include "backends/native/kernels/tiles.h"
// Must follow tiles.h, which defines make_tile.
#include "backends/native/kernels_tiles16.h"

namespace zoo::native {
namespace {

constexpr Kernels make_byte_kernels() {
  Kernels kernels{};
  kernels.isa = "avx512-vnni";
  kernels.element = sizeof(Element);
  kernels.tiles = kTiles;
  kernels.tile_count = sizeof kTiles / sizeof kTiles[0];
  kernels.pack = pack;
  kernels.spin = spin;
  return kernels;
}

}  // namespace

extern const Kernels kAvx512VnniKernels;
constexpr Kernels kAvx512VnniKernels = make_byte_kernels();

}  // namespace zoo::native
