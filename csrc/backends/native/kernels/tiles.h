// Register tiles of the matrix products, weight packing, and the peak performance measurement.
#pragma once

#include "backends/native/kernels/vectors.h"

namespace zoo::native {
namespace {

// Addresses of a tile's rows, which are Step blocks apart; Step 0: the stride is a run-time value.
// Then only every fourth row has a pointer of its own, so that the pointers fit in registers.
template <int Rows, int Step>
struct RowPointers {
  RowPointers(const Element* in, size_t) : first(in) {}
  const Element* row(int m) const { return first + m * Step * kSide; }
  void advance(size_t distance) { first += distance; }

  const Element* first;
};

template <int Rows>
struct RowPointers<Rows, 0> {
  static constexpr int kPointers = (Rows + 3) / 4;

  RowPointers(const Element* in, size_t in_step) : one(in_step), three(3 * in_step) {
#pragma GCC unroll 4
    for (int i = 0; i < kPointers; ++i) fourths[i] = in + 4 * static_cast<size_t>(i) * in_step;
    advance(0);
    __asm__("" : "+r"(three));
  }
  const Element* row(int m) const {
    const Element* const base = fourths[m / 4];
    return m % 4 == 0 ? base : m % 4 == 3 ? base + three : base + static_cast<size_t>(m % 4) * one;
  }
  void advance(size_t distance) {
#pragma GCC unroll 4
    for (int i = 0; i < kPointers; ++i) {
      fourths[i] += distance;
      // Hides from the compiler that this pointer is derived from the first; otherwise it would
      // keep sixteen pointers.
      __asm__("" : "+r"(fourths[i]));
    }
  }

  const Element* fourths[kPointers];
  size_t one;
  size_t three;
};

// Adds the products of kTogether channels, beginning with channel k.
template <int Rows, int Vectors, int Step, typename Weight>
__attribute__((always_inline)) inline void add_products(const RowPointers<Rows, Step>& in,
                                                        const Weight* weights, size_t column_size,
                                                        int k, Sum (&sums)[Rows][Vectors]) {
  Weights w[Vectors];
#pragma GCC unroll 16
  for (int n = 0; n < Vectors; ++n) {
    w[n] = weights_at(weights + n / kParts * column_size + k * kSide + n % kParts * kLanes);
  }
#pragma GCC unroll 16
  for (int m = 0; m < Rows; ++m) {
    const Broadcast x = broadcast(in.row(m) + k);
#pragma GCC unroll 16
    for (int n = 0; n < Vectors; ++n) sums[m][n] = multiplied(sums[m][n], x, w[n]);
  }
}

// Beginning and end of the sums of kLanes columns.
#ifdef ZOO_BYTES
struct Ends {
  Ends(const TileCall& call, int column)
      : start(_mm512_loadu_si512(call.start + column)),
        scale(load(call.scale + column)),
        bias(load(call.bias + column)) {}
  Vec result(Sum sum) const { return fused(__builtin_convertvector((Ints)sum, Vec), scale, bias); }

  Sum start;
  Vec scale, bias;
};
#else
struct Ends {
  Ends(const TileCall& call, int column) : start(load(call.bias + column)) {}
  Vec result(Sum sum) const { return sum; }

  Sum start;
};
#endif

template <int Rows, int Columns, int Step, typename Out, typename Weight = Element>
void tile(const TileCall& call) {
  constexpr int kVectors = Columns * kParts;
  // Channels of the last block, if it has fewer than 16.
  const int rest = call.depth == kBlock ? 0 : static_cast<int>(call.depth);
  const size_t whole = call.blocks - (rest == 0 ? 0 : 1);
  Sum sums[Rows][kVectors];
#pragma GCC unroll 16
  for (int n = 0; n < kVectors; ++n) {
    const Sum start = Ends(call, n * kLanes).start;
#pragma GCC unroll 16
    for (int m = 0; m < Rows; ++m) sums[m][n] = start;
  }
  for (size_t t = 0; t < call.taps; ++t) {
    RowPointers<Rows, Step> in(static_cast<const Element*>(call.in) + call.offsets[t],
                               call.in_step);
    const Weight* weights =
        static_cast<const Weight*>(call.weights) + call.places[t] * call.tap_size;
    for (size_t b = 0; b < whole; ++b) {
#pragma GCC unroll 16
      for (int k = 0; k < kSide; k += kTogether) {
        add_products<Rows, kVectors, Step>(in, weights, call.column_size, k, sums);
      }
      in.advance(call.in_block);
      weights += kBlock * kBlock;
    }
    for (int k = 0; k < rest; k += kTogether) {
      add_products<Rows, kVectors, Step>(in, weights, call.column_size, k, sums);
    }
  }
  const Vec slope = all(call.slope);
#pragma GCC unroll 16
  for (int n = 0; n < kVectors; ++n) {
    Out* out = static_cast<Out*>(call.out) + n / kParts * call.out_block + n % kParts * kLanes;
    const Ends ends(call, n * kLanes);
#pragma GCC unroll 16
    for (int m = 0; m < Rows; ++m) {
      const Vec result = ends.result(sums[m][n]);
      store(out, larger(result, result * slope));
      out += call.out_step;
    }
  }
}

template <int Rows, int Columns, int Step = 1>
constexpr Tile make_tile() {
#ifdef ZOO_BYTES
  using Narrow = Bfloat;
#else
  using Narrow = Element;
#endif
  Tile tiles = {
      Rows,   Columns, Step, tile<Rows, Columns, Step, Narrow>, tile<Rows, Columns, Step, float>,
      nullptr};
#ifdef ZOO_HALVES
  // Only dense layers read weights in half precision, and their step is 1.
  if constexpr (Step == 1) tiles.run_halves = tile<Rows, Columns, Step, float, Half>;
#endif
  return tiles;
}

#ifdef ZOO_HALVES
bool pack_halves(const float* weights, void* packed) {
  Half* const to = static_cast<Half*>(packed);
  bool exact = true;
  for (size_t i = 0; i < kBlock * kBlock; i += kLanes) {
    const Vec values = load(weights + i);
    store_halves(to + i, values);
    const Vec back = weights_at(to + i);
    for (int lane = 0; lane < kLanes; ++lane) exact = exact && back[lane] == values[lane];
  }
  return exact;
}
#endif

void pack(const float* weights, void* packed) {
  Element* to = static_cast<Element*>(packed);
  for (int k = 0; k < kSide; ++k) {
    Element row[kSide];
    for (int p = 0; p < kParts; ++p) {
      store(row + p * kLanes, load(weights + k * kSide + p * kLanes));
    }
    for (int n = 0; n < kSide; ++n) {
      to[(k / kTogether * kSide + n) * kTogether + k % kTogether] = row[n];
    }
  }
}

// Measures the peak rate of multiply-adds, an upper bound for every tile: enough independent sums
// to hide the latency of the multiply-add units, and no loads.
double spin(size_t rounds) {
  constexpr int kSums = kLanes == 8 ? 12 : 24;  // AVX2 has half as many registers
  const Element one[kTogether * kLanes] = {};
  Sum sums[kSums] = {};
  Broadcast x = broadcast(one);
  const Weights w = weights_at(one);
  // The empty asm statements keep the compiler from optimising the loop away: it must not see that
  // all sums are equal ...
#pragma GCC unroll 24
  for (int i = 0; i < kSums; ++i) __asm__ volatile("" : ZOO_VECTOR(sums[i]));
  for (size_t round = 0; round < rounds; ++round) {
    // ... or that the factors are constant.
    __asm__ volatile("" : ZOO_VECTOR(x));
#pragma GCC unroll 24
    for (int i = 0; i < kSums; ++i) sums[i] = multiplied(sums[i], x, w);
  }
#pragma GCC unroll 24
  for (int i = 0; i < kSums; ++i) __asm__ volatile("" : ZOO_VECTOR(sums[i]));
  return 2.0 * kSums * kLanes * kTogether * static_cast<double>(rounds);
}

}  // namespace
}  // namespace zoo::native
