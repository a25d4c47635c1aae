// BatchedInterpolate(a[N,D], b[N,D], t[S]; mode) -> h[N,S,D].
#pragma once

#include <cmath>
#include <cstddef>

#include "ops/hd.h"
#include "zoo/export.h"

namespace zoo {

enum class Interpolation { kLinear, kSpherical };

// Returns a + (b - a) * t, and exactly b at t = 1, which rounding could miss.
ZOO_HD float interpolate_linear(float a, float b, float t) {
  return t == 1.0f ? b : a + (b - a) * t;
}

// Computes the weights of a and b on the great arc between them (Shoemake, "Animating Rotation with
// Quaternion Curves", SIGGRAPH 1985; for latents White, "Sampling Generative Networks", 2016).
// cosine: of the angle between a and b. Nearly parallel vectors (within 1e-3 of 0 or pi) are
// interpolated linearly.
ZOO_HD void spherical_weights(float cosine, float t, float* weight_a, float* weight_b) {
  const float bounded = cosine > 1.0f ? 1.0f : (cosine < -1.0f ? -1.0f : cosine);
  const float angle = std::acos(bounded);
  const float sine = std::sin(angle);
  if (!(sine > 1e-3f) || t == 0.0f || t == 1.0f) {
    *weight_a = 1.0f - t;
    *weight_b = t;
    return;
  }
  *weight_a = std::sin((1.0f - t) * angle) / sine;
  *weight_b = std::sin(t * angle) / sine;
}

// a, b: [rows, width]; t: [steps]; h: [rows, steps, width]; all row-major.
ZOO_API void batched_interpolate(const float* a, const float* b, const float* t, Interpolation mode,
                                 size_t rows, size_t steps, size_t width, float* h);

}  // namespace zoo
