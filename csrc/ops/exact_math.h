// Elementary functions in single precision that give the same bits everywhere.
//
// Only IEEE-754 add, subtract, multiply and square root, integer operations
// and exact scalings are used, each rounded on its own: compile with floating
// point contraction off (-ffp-contract=off, nvcc -fmad=false). A library's
// logf or sinf differs between machines by an ulp or two, and one ulp in a
// latent can be one grey level in an image. The portable bodies of the
// operators (export/functions.py) repeat these steps one by one.
//
// The polynomials are weighted minimax fits on the stated ranges.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "ops/hd.h"

namespace zoo {

ZOO_HD float bits_to_float(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

ZOO_HD uint32_t float_to_bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

// ln 2 in two parts: kLn2Hi has 9 significant bits, so e * kLn2Hi is exact.
constexpr float kLn2Hi = 0x1.63p-1f;
constexpr float kLn2Lo = -0x1.bd0106p-13f;
constexpr float kLog2E = 0x1.715476p+0f;

// Natural logarithm of a positive normal number; error below 2 ulp.
ZOO_HD float exact_log(float x) {
  // x = m * 2^e with m in [sqrt(1/2), sqrt(2)), so that log m is small around 1.
  constexpr uint32_t kSqrtHalf = 0x3f3504f3u;
  const int32_t shifted = static_cast<int32_t>(float_to_bits(x) - kSqrtHalf);
  const int32_t exponent = shifted >> 23;
  const float m = bits_to_float(float_to_bits(x) - (static_cast<uint32_t>(exponent) << 23));
  const float e = static_cast<float>(exponent);
  const float f = m - 1.0f;
  const float z = f * f;
  float p = 0x1.1b40e4p-4f;
  p = p * f + -0x1.e2e918p-4f;
  p = p * f + 0x1.e6512ep-4f;
  p = p * f + -0x1.fb434ep-4f;
  p = p * f + 0x1.2332b8p-3f;
  p = p * f + -0x1.5562e2p-3f;
  p = p * f + 0x1.99a546p-3f;
  p = p * f + -0x1.ffffeep-3f;
  p = p * f + 0x1.555546p-2f;
  float y = p * (f * z);
  y = y + e * kLn2Lo;
  y = y - 0.5f * z;
  return (f + y) + e * kLn2Hi;
}

// sin and cos of 2*pi*(turn + 1/2)/2^32. The angle is a 32-bit fraction of a turn, so that the
// reduction to an eighth of a turn is integer arithmetic.
ZOO_HD void exact_sincos_turn(uint32_t turn, float* sine, float* cosine) {
  const uint32_t quarter = (turn + 0x20000000u) >> 30;
  const int32_t rest = static_cast<int32_t>(turn - (quarter << 30));
  constexpr float kTwoPiOver2To32 = 0x1.921fb6p-30f;
  constexpr float kPiOver2To32 = 0x1.921fb6p-31f;
  const float t = static_cast<float>(rest) * kTwoPiOver2To32 + kPiOver2To32;
  const float z = t * t;
  float s = -0x1.994eb2p-13f;
  s = s * z + 0x1.110760p-7f;
  s = s * z + -0x1.555546p-3f;
  s = t + t * (z * s);
  float c = 0x1.9a0258p-16f;
  c = c * z + -0x1.6c0c8cp-10f;
  c = c * z + 0x1.55554ap-5f;
  c = (z * z) * c;
  c = c - 0.5f * z;
  c = 1.0f + c;
  const bool odd = (quarter & 1u) != 0;
  const float a = odd ? c : s;
  const float b = odd ? s : c;
  *sine = (quarter & 2u) != 0 ? -a : a;
  *cosine = ((quarter + 1u) & 2u) != 0 ? -b : b;
}

// e^x with an error below 2 ulp. Exactly 0 below -87, so that a log-variance of -infinity switches
// the noise off; x is limited to 88; NaN gives NaN.
ZOO_HD float exact_exp(float x) {
  const float bounded = x < 88.0f ? (x > -87.0f ? x : -87.0f) : 88.0f;
  const float scaled = bounded * kLog2E + 0.5f;
  const float k = std::floor(scaled);
  float r = bounded - k * kLn2Hi;
  r = r - k * kLn2Lo;
  float p = 0x1.6db410p-10f;
  p = p * r + 0x1.123b46p-7f;
  p = p * r + 0x1.55545ep-5f;
  p = p * r + 0x1.55548ep-3f;
  p = p * r + 0x1.000000p-1f;
  const float y = 1.0f + (r + (r * r) * p);
  const float power = bits_to_float(static_cast<uint32_t>(static_cast<int32_t>(k) + 127) << 23);
  const float value = x < -87.0f ? 0.0f : y * power;
  return x != x ? x : value;
}

}  // namespace zoo
