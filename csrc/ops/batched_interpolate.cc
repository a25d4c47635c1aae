#include "ops/batched_interpolate.h"

namespace zoo {
namespace {

float spherical_cosine(const float* a, const float* b, size_t width) {
  // Accumulated in double, so that the grouping of the sum changes at most the last bit of a float.
  double dot = 0.0;
  double aa = 0.0;
  double bb = 0.0;
  for (size_t i = 0; i < width; ++i) {
    dot += static_cast<double>(a[i]) * b[i];
    aa += static_cast<double>(a[i]) * a[i];
    bb += static_cast<double>(b[i]) * b[i];
  }
  const double norms = std::sqrt(aa * bb);
  return norms > 0.0 ? static_cast<float>(dot / norms) : 1.0f;
}

}  // namespace

void batched_interpolate(const float* a, const float* b, const float* t, Interpolation mode,
                         size_t rows, size_t steps, size_t width, float* h) {
  for (size_t row = 0; row < rows; ++row, a += width, b += width) {
    const float cosine = mode == Interpolation::kSpherical ? spherical_cosine(a, b, width) : 0.0f;
    for (size_t step = 0; step < steps; ++step, h += width) {
      if (mode == Interpolation::kLinear) {
        for (size_t i = 0; i < width; ++i) h[i] = interpolate_linear(a[i], b[i], t[step]);
      } else {
        float weight_a;
        float weight_b;
        spherical_weights(cosine, t[step], &weight_a, &weight_b);
        for (size_t i = 0; i < width; ++i) h[i] = weight_a * a[i] + weight_b * b[i];
      }
    }
  }
}

}  // namespace zoo
