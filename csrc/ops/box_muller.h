// Normal numbers from uniform bits, in the convention of cuRAND's curand_normal4.
//
// Box, Muller: "A Note on the Generation of Random Normal Deviates", Annals of
// Mathematical Statistics 29 (1958), eq. (1).
#pragma once

#include "ops/exact_math.h"
#include "ops/philox.h"

namespace zoo {

struct Normal4 {
  float x, y, z, w;
};

// Transforms two words to two independent N(0, 1) numbers:
// u = (a + 1/2)/2^32, angle = 2*pi*(b + 1/2)/2^32, r = sqrt(-2 ln u),
// first = r sin(angle), second = r cos(angle). |value| <= 6.77.
ZOO_HD void box_muller(uint32_t a, uint32_t b, float* first, float* second) {
  const float u = static_cast<float>(a) * 0x1p-32f + 0x1p-33f;
  const float radius = std::sqrt(-2.0f * exact_log(u));
  float sine;
  float cosine;
  exact_sincos_turn(b, &sine, &cosine);
  *first = radius * sine;
  *second = radius * cosine;
}

ZOO_HD Normal4 normal4(Philox4 bits) {
  Normal4 out;
  box_muller(bits.x, bits.y, &out.x, &out.y);
  box_muller(bits.z, bits.w, &out.z, &out.w);
  return out;
}

// The noise contract: normal(seed, sample, stream, element).
ZOO_HD float normal(uint64_t seed, uint64_t sample, uint32_t stream, uint32_t element) {
  const Normal4 block = normal4(noise_block(seed, sample, stream, element / 4));
  const uint32_t lane = element % 4;
  return lane < 2 ? (lane == 0 ? block.x : block.y) : (lane == 2 ? block.z : block.w);
}

}  // namespace zoo
