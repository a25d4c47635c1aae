// Tiles that multiply matrices of bfloat16 or bytes in AMX's tile registers, and their
// configuration.
//
// A tile register has up to 16 rows of 64 bytes. One instruction multiplies up to 16 slots × 16
// channels by 16 channels × 16 columns: the layout of maps and of packed weights (kernels.h) is
// that of its operands, so both are loaded as they are. The sums of a tile remain in registers.
//
// `Unit` executes the instructions and names its `Operands`; tests use one that emulates them. This
// file must not need any instruction set, since tests also compile it without.
//
// Cost per tile: taps · blocks · columns multiplications of `rows` cycles each, and 1 + 1 / columns
// register loads per multiplication.
#pragma once

#include <cstring>
#include <utility>

#include "backends/native/kernels.h"

namespace zoo::native {
namespace {

// Operand of LDTILECFG (Intel SDM, volume 1, section 18.2): the sizes of the registers.
struct TileConfiguration {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};
static_assert(sizeof(TileConfiguration) == 64, "must have the size that the instruction reads");

// Registers 0 … 3 hold the sums of up to four column blocks.
constexpr int kMostSums = 4;
constexpr int kSlots = 4, kPacked = 5;          // slots and weights of whole blocks
constexpr int kLastSlots = 6, kLastPacked = 7;  // of the last block, if it has fewer channels

// Channels are multiplied in words of four bytes: pairs of bfloat16, or four bytes.
constexpr size_t kWord = 4;
constexpr size_t kLine = kBlock * kWord;  // bytes of a register row of weights, and of sums

// Products of bfloat16, whose sums begin with the bias.
struct Bfloat16Operands {
  static constexpr size_t kElement = 2;
  using Sum = float;

  static const Sum* start(const TileCall& call) { return call.bias; }
  static float result(const TileCall&, size_t, Sum sum) { return sum; }
};

// Products of unsigned and signed bytes, whose sums are exact integers.
struct ByteOperands {
  static constexpr size_t kElement = 1;
  using Sum = int32_t;

  static const Sum* start(const TileCall& call) { return call.start; }
  static float result(const TileCall& call, size_t column, Sum sum) {
    return __builtin_fmaf(static_cast<float>(sum), call.scale[column], call.bias[column]);
  }
};

// Returns the configuration for `rows` slots and `rest` channels in the last block (0: it is
// whole), of elements with `element` bytes.
inline TileConfiguration configure(size_t rows, size_t rest, size_t element) {
  TileConfiguration configuration;
  const auto set = [&](int index, size_t register_rows, size_t bytes) {
    configuration.rows[index] = static_cast<uint8_t>(register_rows);
    configuration.row_bytes[index] = static_cast<uint16_t>(bytes);
  };
  for (int i = 0; i < kMostSums; ++i) set(i, rows, kLine);
  set(kSlots, rows, kBlock * element);
  set(kPacked, kBlock * element / kWord, kLine);
  const size_t words = ((rest == 0 ? kBlock : rest) * element + kWord - 1) / kWord;
  set(kLastSlots, rows, words * kWord);
  set(kLastPacked, words, kLine);
  return configuration;
}

// Multiplies a block of slots by the weights of each column block, and adds to its sums.
template <typename Unit, int Slots, int Packed, int... Sums>
void add_products(const unsigned char* in, size_t stride, const unsigned char* weights,
                  size_t column_size, std::integer_sequence<int, Sums...>) {
  Unit::template load<Slots>(in, stride);
  const auto multiply = [&](auto sum) {
    Unit::template load<Packed>(weights + decltype(sum)::value * column_size, kLine);
    Unit::template multiply<decltype(sum)::value, Slots, Packed>();
  };
  (multiply(std::integral_constant<int, Sums>{}), ...);
}

// Rounds to bfloat16, to nearest, ties to even; NaN stays NaN.
inline uint16_t rounded_to_bfloat16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  if (value != value) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

inline void store_value(uint16_t* to, float value) { *to = rounded_to_bfloat16(value); }
inline void store_value(float* to, float value) { *to = value; }

template <typename Unit, size_t Rows, size_t Step, typename Out, int... Sums>
void matrix_tile(const TileCall& call, std::integer_sequence<int, Sums...> sums) {
  using Operands = typename Unit::Operands;
  constexpr size_t kElement = Operands::kElement;
  const size_t rest = call.depth == kBlock ? 0 : call.depth;
  const size_t whole = call.blocks - (rest == 0 ? 0 : 1);
  const size_t stride = (Step == 0 ? call.in_step : Step * kBlock) * kElement;
  Unit::configure(configure(Rows, rest, kElement));
  // With a stride of 0, all rows of the register begin with the same sums.
  (Unit::template load<Sums>(Operands::start(call) + Sums * kBlock, 0), ...);
  const size_t column_size = call.column_size * kElement;
  for (size_t t = 0; t < call.taps; ++t) {
    const auto* in = static_cast<const unsigned char*>(call.in) +
                     call.offsets[t] * static_cast<ptrdiff_t>(kElement);
    const auto* weights =
        static_cast<const unsigned char*>(call.weights) + call.places[t] * call.tap_size * kElement;
    for (size_t b = 0; b < whole; ++b) {
      add_products<Unit, kSlots, kPacked>(in, stride, weights, column_size, sums);
      in += call.in_block * kElement;
      weights += kBlock * kBlock * kElement;
    }
    if (rest != 0) {
      add_products<Unit, kLastSlots, kLastPacked>(in, stride, weights, column_size, sums);
    }
  }
  alignas(64) typename Operands::Sum values[sizeof...(Sums)][Rows][kBlock];
  (Unit::template store<Sums>(values[Sums], kLine), ...);
  Unit::release();
  for (size_t n = 0; n < sizeof...(Sums); ++n) {
    for (size_t m = 0; m < Rows; ++m) {
      Out* const out = static_cast<Out*>(call.out) + n * call.out_block + m * call.out_step;
      for (size_t c = 0; c < kBlock; ++c) {
        const float value = Operands::result(call, n * kBlock + c, values[n][m][c]);
        const float below = value * call.slope;
        store_value(out + c, value > below ? value : below);
      }
    }
  }
}

template <typename Unit, size_t Rows, int Columns, size_t Step>
constexpr Tile make_matrix_tile() {
  using Sums = std::make_integer_sequence<int, Columns>;
  return {Rows,
          Columns,
          Step,
          [](const TileCall& call) { matrix_tile<Unit, Rows, Step, uint16_t>(call, Sums{}); },
          [](const TileCall& call) { matrix_tile<Unit, Rows, Step, float>(call, Sums{}); },
          nullptr};
}

constexpr size_t kMatrixRows[] = {16, 14, 8, 7, 4, 2, 1};
constexpr int kMatrixColumns[] = {4, 2, 1};
constexpr size_t kMatrixSteps[] = {1, 2, 0};
constexpr size_t kMatrixTiles = sizeof(kMatrixRows) / sizeof(size_t) * 9;

// Not a std::array: its inline functions would be compiled for this instruction set, and the linker
// could keep that copy for the whole library.
struct MatrixTiles {
  Tile tiles[kMatrixTiles];
};

template <typename Unit, size_t... I>
constexpr MatrixTiles make_matrix_tiles(std::index_sequence<I...>) {
  return {{make_matrix_tile<Unit, kMatrixRows[I / 9], kMatrixColumns[I / 3 % 3],
                            kMatrixSteps[I % 3]>()...}};
}

// Returns tiles of all sizes. The bits of a sum do not depend on the size of its tile.
template <typename Unit>
constexpr MatrixTiles make_matrix_tiles() {
  return make_matrix_tiles<Unit>(std::make_index_sequence<kMatrixTiles>());
}

}  // namespace
}  // namespace zoo::native
