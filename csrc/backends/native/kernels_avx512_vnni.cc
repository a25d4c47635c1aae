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

// Returns every fourth lane of two vectors, from lane First on, twice.
template <int First, int... Lane>
inline Ints every_fourth(Ints a, Ints b, std::integer_sequence<int, Lane...>) {
  return __builtin_shuffle(a, b, Ints{(First + Lane % 8 * 4)...});
}

template <int... Lane>
inline Ints halves(Ints a, Ints b, std::integer_sequence<int, Lane...>) {
  return __builtin_shuffle(a, b, Ints{(Lane < 8 ? Lane : Lane + 8)...});
}

// Writes the bytes of channels 4·Row to 4·Row + 3 of 16 slots.
template <int Row>
inline void transpose_row(const Ints (&parts)[4], float* out) {
  constexpr auto kAll = std::make_integer_sequence<int, kLanes>();
  const Ints values = halves(every_fourth<Row>(parts[0], parts[1], kAll),
                             every_fourth<Row>(parts[2], parts[3], kAll), kAll);
  store(out, (Vec)values);
}

void transpose(const void* in, size_t slots, float* out, size_t stride) {
  const Element* from = static_cast<const Element*>(in);
  for (size_t slot = 0; slot < slots; slot += 16) {
    // Four slots of 16 channels each.
    Ints parts[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) parts[i] = (Ints)weights_at(from + i * 4 * kSide);
    from += 16 * kSide;
    transpose_row<0>(parts, out + slot);
    transpose_row<1>(parts, out + stride + slot);
    transpose_row<2>(parts, out + 2 * stride + slot);
    transpose_row<3>(parts, out + 3 * stride + slot);
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
