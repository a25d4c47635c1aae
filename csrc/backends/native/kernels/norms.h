// Normalisations and sums of maps.
#pragma once

#include "backends/native/kernels/vectors.h"

namespace zoo::native {
namespace {

// The sum of 16 numbers: i and i + 8, then i and i + 4, ….
inline float total(const float* values) {
  float sums[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) sums[i] = values[i] + values[i + 8];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) sums[i] += sums[i + 4];
  return (sums[0] + sums[2]) + (sums[1] + sums[3]);
}

inline float root(float value) {
  float result;
#if defined(__x86_64__)
  __asm__("vsqrtss %1, %1, %0" : "=x"(result) : "x"(value));
#else
  result = __builtin_sqrtf(value);
#endif
  return result;
}

void pixel_norm(void* map, size_t block, size_t blocks, size_t slots, float scale, float epsilon) {
  Element* const in = static_cast<Element*>(map);
  for (size_t slot = 0; slot < slots; ++slot) {
    Vec squares[kParts] = {};
    for (size_t b = 0; b < blocks; ++b) {
#pragma GCC unroll 4
      for (int p = 0; p < kParts; ++p) {
        const Vec x = load(in + b * block + slot * kBlock + p * kLanes);
        squares[p] += x * x;
      }
    }
    float values[kBlock];
#pragma GCC unroll 4
    for (int p = 0; p < kParts; ++p) store(values + p * kLanes, squares[p]);
    const Vec divisor = all(root(total(values) * scale + epsilon));
    for (size_t b = 0; b < blocks; ++b) {
#pragma GCC unroll 4
      for (int p = 0; p < kParts; ++p) {
        const size_t place = b * block + slot * kBlock + static_cast<size_t>(p * kLanes);
        store(in + place, load(in + place) / divisor);
      }
    }
  }
}

// blur(in) + bias + strength · noise of one pixel and one vector of its channels, rectified.
inline Vec noisy(const NormCall& call, size_t y, size_t x, int part) {
  const Element* in =
      static_cast<const Element*>(call.in) + y * call.in_row + x * call.in_column + part * kLanes;
  Vec value = load(in);
  if (call.blur) {
    value = Vec{};
    for (size_t ky = 0; ky < 3; ++ky) {
      if (y + ky < 1 || y + ky > call.height) continue;
      for (size_t kx = 0; kx < 3; ++kx) {
        if (x + kx < 1 || x + kx > call.width) continue;
        const Element* from = in + ky * call.in_row + kx * call.in_column;
        value += load(from - call.in_row - call.in_column) *
                 load(call.blur + (3 * ky + kx) * kBlock + part * kLanes);
      }
    }
  }
  value = value + load(call.bias + part * kLanes);
  if (call.noise) {
    const float noise = call.noise[y * call.width + x] * call.noise_scale;
    value = load(call.strength + part * kLanes) * all(noise) + value;
  }
  return larger(value, value * all(call.slope));
}

void instance_norm(const NormCall& call) {
  const float share = 1.0f / static_cast<float>(call.height * call.width);
  for (int part = 0; part < kParts; ++part) {
    Element* const out = static_cast<Element*>(call.out) + part * kLanes;
    // Sums of rows, then their sum: less is lost to rounding than in one long sum.
    Vec total = {};
    for (size_t y = 0; y < call.height; ++y) {
      Vec sum = {};
      for (size_t x = 0; x < call.width; ++x) {
        const Vec value = noisy(call, y, x, part);
        store(out + y * call.out_row + x * call.out_column, value);
        sum += value;
      }
      total += sum;
    }
    const Vec mean = total * all(share);
    Vec squares = {};
    for (size_t y = 0; y < call.height; ++y) {
      Vec sum = {};
      for (size_t x = 0; x < call.width; ++x) {
        const Vec apart = load(out + y * call.out_row + x * call.out_column) - mean;
        sum += apart * apart;
      }
      squares += sum;
    }
    Vec factor = squares * all(share) + all(call.epsilon);
    for (int i = 0; i < kLanes; ++i) factor[i] = root(factor[i]);
    factor = load(call.scale + part * kLanes) / factor;
    const Vec shift = load(call.shift + part * kLanes);
    for (size_t y = 0; y < call.height; ++y) {
      for (size_t x = 0; x < call.width; ++x) {
        Element* const at = out + y * call.out_row + x * call.out_column;
        const Vec value = (load(at) - mean) * factor + shift;
        store(at, larger(value, value * all(call.end_slope)));
      }
    }
  }
}

void combine(const CombineCall& call) {
  const Element* a = static_cast<const Element*>(call.a);
  const Element* b = static_cast<const Element*>(call.b);
  Element* out = static_cast<Element*>(call.out);
  for (size_t slot = 0; slot < call.count; ++slot) {
    for (int p = 0; p < kParts; ++p) {
      Vec value = load(a + p * kLanes);
      if (b) value += load(b + p * kLanes);
      store(out + p * kLanes, larger(value, value * all(call.slope)));
    }
    a += call.a_step;
    if (b) b += call.b_step;
    out += call.out_step;
  }
}

}  // namespace
}  // namespace zoo::native
