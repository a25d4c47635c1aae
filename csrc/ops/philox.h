// Philox4x32-10, the counter-based random number generator of all noise.
//
// Salmon, Moraes, Dror, Shaw: "Parallel Random Numbers: As Easy as 1, 2, 3",
// SC 2011, section 3.3 and table 2 (constants). Verified against the authors'
// known-answer vectors.
#pragma once

#include <cstdint>

#include "ops/hd.h"

namespace zoo {

struct Philox4 {
  uint32_t x, y, z, w;
};

constexpr uint32_t kPhiloxM0 = 0xD2511F53u;
constexpr uint32_t kPhiloxM1 = 0xCD9E8D57u;
constexpr uint32_t kPhiloxW0 = 0x9E3779B9u;
constexpr uint32_t kPhiloxW1 = 0xBB67AE85u;

// Returns 128 random bits, a pure function of (counter, key).
ZOO_HD Philox4 philox4x32_10(Philox4 counter, uint32_t key0, uint32_t key1) {
  ZOO_UNROLL(10)
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = static_cast<uint64_t>(kPhiloxM0) * counter.x;
    const uint64_t p1 = static_cast<uint64_t>(kPhiloxM1) * counter.z;
    counter =
        Philox4{static_cast<uint32_t>(p1 >> 32) ^ counter.y ^ key0, static_cast<uint32_t>(p1),
                static_cast<uint32_t>(p0 >> 32) ^ counter.w ^ key1, static_cast<uint32_t>(p0)};
    key0 += kPhiloxW0;
    key1 += kPhiloxW1;
  }
  return counter;
}

// Returns the bits of elements 4*block … 4*block+3 of one sample:
// counter = (block, stream, low and high word of sample), key = seed.
// With stream 0 this is cuRAND's curand_init(seed, sample, 0) sequence.
ZOO_HD Philox4 noise_block(uint64_t seed, uint64_t sample, uint32_t stream, uint32_t block) {
  return philox4x32_10(
      Philox4{block, stream, static_cast<uint32_t>(sample), static_cast<uint32_t>(sample >> 32)},
      static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
}

}  // namespace zoo
