// Tiles for AMX-BF16 and AMX-INT8. csrc/CMakeLists.txt sets the compiler flags.
#include "backends/native/kernels/matrix_tiles.h"
#include "backends/native/matrix_units.h"

namespace zoo::native {

extern const Kernels kAvx512Bf16Kernels;
extern const Kernels kAvx512VnniKernels;

namespace {

// In assembly, since the intrinsics of GCC 12 take register numbers only as literals.
struct MatrixUnit {
  static void configure(const TileConfiguration& configuration) {
    __asm__ volatile("ldtilecfg %0" : : "m"(configuration));
  }
  static void release() { __asm__ volatile("tilerelease"); }
  template <int Register>
  static void load(const void* from, size_t stride) {
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2"
                     :
                     : "r"(from), "r"(stride), "i"(Register)
                     : "memory");
  }
  template <int Register>
  static void store(void* to, size_t stride) {
    __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)"
                     :
                     : "r"(to), "r"(stride), "i"(Register)
                     : "memory");
  }
};

struct Bfloat16Unit : MatrixUnit {
  using Operands = Bfloat16Operands;

  // sums += slots · weights.
  template <int Sums, int Slots, int Weights>
  static void multiply() {
    __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0"
                     :
                     : "i"(Sums), "i"(Slots), "i"(Weights));
  }
};

struct ByteUnit : MatrixUnit {
  using Operands = ByteOperands;

  template <int Sums, int Slots, int Weights>
  static void multiply() {
    __asm__ volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0"
                     :
                     : "i"(Sums), "i"(Slots), "i"(Weights));
  }
};

constexpr MatrixTiles kBfloat16Tiles = make_matrix_tiles<Bfloat16Unit>();
constexpr MatrixTiles kByteTiles = make_matrix_tiles<ByteUnit>();

// As `spin` of the other kernels: independent sums, no loads in the loop.
template <typename Unit>
double spin(size_t rounds) {
  constexpr size_t kElement = Unit::Operands::kElement;
  alignas(64) static const unsigned char zeros[kBlock * kLine] = {};
  Unit::configure(configure(kBlock, 0, kElement));
  Unit::template load<0>(zeros, kLine);
  Unit::template load<1>(zeros, kLine);
  Unit::template load<2>(zeros, kLine);
  Unit::template load<3>(zeros, kLine);
  Unit::template load<kSlots>(zeros, kBlock * kElement);
  Unit::template load<kPacked>(zeros, kLine);
  for (size_t round = 0; round < rounds; ++round) {
    Unit::template multiply<0, kSlots, kPacked>();
    Unit::template multiply<1, kSlots, kPacked>();
    Unit::template multiply<2, kSlots, kPacked>();
    Unit::template multiply<3, kSlots, kPacked>();
  }
  Unit::release();
  return 2.0 * kMostSums * kBlock * kBlock * kBlock * static_cast<double>(rounds);
}

Kernels with_matrix_tiles(const Kernels& vectors, const char* isa, const MatrixTiles& tiles,
                          double (*spin)(size_t)) {
  Kernels kernels = vectors;
  kernels.isa = isa;
  kernels.tiles = tiles.tiles;
  kernels.tile_count = kMatrixTiles;
  kernels.spin = spin;
  kernels.has_matrix_units = true;
  return kernels;
}

}  // namespace

const Kernels& matrix_kernels() {
  static const Kernels kernels =
      with_matrix_tiles(kAvx512Bf16Kernels, "amx-bf16", kBfloat16Tiles, spin<Bfloat16Unit>);
  return kernels;
}

const Kernels& byte_matrix_kernels() {
  static const Kernels kernels =
      with_matrix_tiles(kAvx512VnniKernels, "amx-int8", kByteTiles, spin<ByteUnit>);
  return kernels;
}

}  // namespace zoo::native
