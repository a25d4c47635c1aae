// Correlation along rows, for the last layer of image networks.
#pragma once

#include "backends/native/kernels/vectors.h"

namespace zoo::native {
namespace {

// The values of 16 slots: floats, or kTogether channels in place of a float.
using Line = Broadcast;

#if defined(ZOO_BYTES) || defined(ZOO_BF16)
inline Line line_at(const float* from) { return _mm512_loadu_si512(from); }
inline Line line_of(const float* weights) {
  return broadcast(reinterpret_cast<const Element*>(weights));
}
#else
inline Line line_at(const float* from) { return load(from); }
inline Line line_of(const float* weight) { return all(*weight); }
#endif

#ifdef ZOO_BYTES
inline Sum first_sum(const CorrelateCall& call, int output) {
  return _mm512_set1_epi32(call.start[output]);
}
inline Vec last_value(const CorrelateCall& call, int output, Sum sum) {
  return fused(__builtin_convertvector((Ints)sum, Vec), all(call.scale[output]),
               all(call.bias[output]));
}
#else
inline Vec first_sum(const CorrelateCall& call, int output) { return all(call.bias[output]); }
inline Vec last_value(const CorrelateCall&, int, Vec sum) { return sum; }
#endif

// Computes `Vectors` vectors of each output channel, beginning with vector `first`, counted over
// all rows.
template <int Outputs, int Vectors>
void correlate(const CorrelateCall& call, size_t first) {
  const size_t across = call.count / kLanes;
  size_t at[Vectors];
#pragma GCC unroll 8
  for (size_t i = 0; i < Vectors; ++i) {
    at[i] = (first + i) / across * call.in_row + (first + i) % across * kLanes;
  }
  Sum sums[Outputs][Vectors];
#pragma GCC unroll 3
  for (int c = 0; c < Outputs; ++c) {
#pragma GCC unroll 8
    for (int i = 0; i < Vectors; ++i) sums[c][i] = first_sum(call, c);
  }
  for (size_t k = 0; k < call.channels; ++k) {
    const size_t begin = k * call.in_step;
    const float* weights = call.weights + k * call.taps * call.weights_step;
    // Taps form the inner loop because taps of the same row read the same cache lines.
    for (size_t tap = 0; tap < call.taps; ++tap) {
      const float* const in = call.in[tap] + begin;
      Line x[Vectors];
#pragma GCC unroll 8
      for (int i = 0; i < Vectors; ++i) x[i] = line_at(in + at[i]);
#pragma GCC unroll 3
      for (int c = 0; c < Outputs; ++c) {
        const Line w = line_of(weights + c);
#pragma GCC unroll 8
        for (int i = 0; i < Vectors; ++i) sums[c][i] = multiplied(sums[c][i], x[i], w);
      }
      weights += call.weights_step;
    }
  }
#pragma GCC unroll 3
  for (int c = 0; c < Outputs; ++c) {
    float* const out = call.out + static_cast<size_t>(c) * call.out_step + first * kLanes;
#pragma GCC unroll 8
    for (int i = 0; i < Vectors; ++i) store(out + i * kLanes, last_value(call, c, sums[c][i]));
  }
}

template <int Outputs>
void correlate(const CorrelateCall& call) {
  const size_t vectors = call.rows * (call.count / kLanes);
  size_t at = 0;
  // With one output channel, eight vectors give enough independent sums to hide the latency of the
  // additions.
  if constexpr (Outputs == 1) {
    for (; at + 8 <= vectors; at += 8) correlate<Outputs, 8>(call, at);
  }
  for (; at + 4 <= vectors; at += 4) correlate<Outputs, 4>(call, at);
  for (; at + 2 <= vectors; at += 2) correlate<Outputs, 2>(call, at);
  if (at < vectors) correlate<Outputs, 1>(call, at);
}

void correlate(const CorrelateCall& call) {
  call.outputs == 1   ? correlate<1>(call)
  : call.outputs == 2 ? correlate<2>(call)
                      : correlate<3>(call);
}

}  // namespace
}  // namespace zoo::native
