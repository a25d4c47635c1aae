// Tiles for AMX-BF16. csrc/CMakeLists.txt sets the compiler flags.
#include "backends/native/kernels/matrix_tiles.h"
#include "backends/native/matrix_units.h"

namespace zoo::native {

extern const Kernels kAvx512Bf16Kernels;

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
  // sums += slots · weights.
  template <int Sums, int Slots, int Weights>
  static void multiply() {
    __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0"
                     :
                     : "i"(Sums), "i"(Slots), "i"(Weights));
  }
};

constexpr MatrixTiles kTiles = make_matrix_tiles<MatrixUnit>();

// As `spin` of the other kernels: independent sums, no loads in the loop.
double spin(size_t rounds) {
  alignas(64) static const unsigned char zeros[kBlock * kSumsLine] = {};
  MatrixUnit::configure(configure(kBlock, 0));
  MatrixUnit::load<0>(zeros, kSumsLine);
  MatrixUnit::load<1>(zeros, kSumsLine);
  MatrixUnit::load<2>(zeros, kSumsLine);
  MatrixUnit::load<3>(zeros, kSumsLine);
  MatrixUnit::load<kSlots>(zeros, kBlock * kElement);
  MatrixUnit::load<kPacked>(zeros, kLine);
  for (size_t round = 0; round < rounds; ++round) {
    MatrixUnit::multiply<0, kSlots, kPacked>();
    MatrixUnit::multiply<1, kSlots, kPacked>();
    MatrixUnit::multiply<2, kSlots, kPacked>();
    MatrixUnit::multiply<3, kSlots, kPacked>();
  }
  MatrixUnit::release();
  return 2.0 * kMostSums * kBlock * kBlock * kBlock * static_cast<double>(rounds);
}

}  // namespace

const Kernels& matrix_kernels() {
  static const Kernels kernels = [] {
    Kernels kernels = kAvx512Bf16Kernels;
    kernels.isa = "amx-bf16";
    kernels.tiles = kTiles.tiles;
    kernels.tile_count = kMatrixTiles;
    kernels.spin = spin;
    kernels.has_matrix_units = true;
    return kernels;
  }();
  return kernels;
}

}  // namespace zoo::native
