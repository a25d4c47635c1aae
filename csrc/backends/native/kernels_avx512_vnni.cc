// Tiles for AVX512-VNNI: each instruction adds four products of bytes to each of the 16 sums of a
// vector, which are exact integers. csrc/CMakeLists.txt sets the compiler flags.
#define ZOO_LANES 16
#define ZOO_BYTES
#include "backends/native/kernels/correlate.h"
#include "backends/native/kernels/tiles.h"
// Must follow tiles.h, which defines make_tile.
#include "backends/native/kernels_tiles16.h"

namespace zoo::native {
namespace {

void transpose(const void* in, size_t slots, float* out, size_t stride) {
  const Element* from = static_cast<const Element*>(in);
  for (size_t slot = 0; slot < slots; slot += 16) {
    // Four slots of 16 channels each.
    Ints parts[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) parts[i] = (Ints)weights_at(from + i * 4 * kSide);
    from += 16 * kSide;
#pragma GCC unroll 4
    for (int row = 0; row < 4; ++row) {
      Ints fourths, halves;
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) {
        fourths[i] = row + i % 8 * 4;
        halves[i] = i < 8 ? i : i + 8;
      }
      const Ints values = __builtin_shuffle(__builtin_shuffle(parts[0], parts[1], fourths),
                                            __builtin_shuffle(parts[2], parts[3], fourths), halves);
      store(out + static_cast<size_t>(row) * stride + slot, (Vec)values);
    }
  }
}

constexpr Kernels make_byte_kernels() {
  Kernels kernels{};
  kernels.isa = "avx512-vnni";
  kernels.element = sizeof(Element);
  kernels.tiles = kTiles;
  kernels.tile_count = sizeof kTiles / sizeof kTiles[0];
  kernels.pack = pack;
  kernels.transpose = transpose;
  kernels.correlate = correlate;
  kernels.spin = spin;
  return kernels;
}

}  // namespace

extern const Kernels kAvx512VnniKernels;
constexpr Kernels kAvx512VnniKernels = make_byte_kernels();

}  // namespace zoo::native
