// Work of one thread of the CUDA kernel of ReparametrizedSample. Also compiled for the host, where
// a test runs every thread of a grid and compares with reparametrized_sample, bit for bit.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/half_float.h"
#include "ops/reparametrized_sample.h"

namespace zoo {

template <typename Out>
struct SampleArguments {
  const float* mu;      // [rows, width], or null for 0
  const float* logvar;  // [rows, width], or null for 0
  NoiseKeys keys;
  size_t rows;
  size_t width;
  Out* h;  // [rows, width]
};

// Number of values of a thread: 16 bytes, which are one store.
template <typename Out>
constexpr size_t kSampleLanes = 16 / sizeof(Out);

template <typename Out>
struct alignas(16) SamplePack {
  Out values[kSampleLanes<Out>];
};

template <typename Out>
ZOO_HD size_t sample_threads(size_t rows, size_t width) {
  return rows * ((width + kSampleLanes<Out> - 1) / kSampleLanes<Out>);
}

// Computes the values of one thread. Vector: width is a multiple of the lanes and all pointers are
// aligned to 16 bytes. Index: an unsigned type that holds the number of threads; on a GPU, 64-bit
// division is many times slower than 32-bit division.
template <typename Out, bool Vector, typename Index>
ZOO_HD void sample_thread(const SampleArguments<Out>& arguments, Index thread) {
  constexpr size_t kLanes = kSampleLanes<Out>;
  const Index packs = static_cast<Index>((arguments.width + kLanes - 1) / kLanes);
  const Index row = thread / packs;
  const size_t element = static_cast<size_t>(thread - row * packs) * kLanes;
  const size_t at = static_cast<size_t>(row) * arguments.width + element;
  float values[kLanes];
  ZOO_UNROLL(2)
  for (size_t block = 0; block < kLanes / 4; ++block) {
    const Normal4 eps =
        normal4(noise_block(arguments.keys.seed_of(row), arguments.keys.sample_of(row),
                            arguments.keys.stream, static_cast<uint32_t>(element / 4 + block)));
    values[4 * block] = eps.x;
    values[4 * block + 1] = eps.y;
    values[4 * block + 2] = eps.z;
    values[4 * block + 3] = eps.w;
  }
  SamplePack<Out> pack;
  ZOO_UNROLL(8)
  for (size_t lane = 0; lane < kLanes; ++lane) {
    const bool inside = Vector || element + lane < arguments.width;
    if (!inside) continue;
    float value = values[lane];
    if (arguments.mu || arguments.logvar) {
      value = reparametrize(arguments.mu ? arguments.mu[at + lane] : 0.0f,
                            arguments.logvar ? arguments.logvar[at + lane] : 0.0f, value);
    }
    pack.values[lane] = from_float<Out>(value);
    if (!Vector) arguments.h[at + lane] = pack.values[lane];
  }
  if (Vector) *reinterpret_cast<SamplePack<Out>*>(arguments.h + at) = pack;
}

}  // namespace zoo
