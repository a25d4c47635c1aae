// Kernels for normalisations and element-wise sums of maps.
#pragma once

#include "backends/native/kernels/vectors.h"

namespace zoo::native {
namespace {

inline Vec root(Vec value) {
#if defined(__x86_64__) && ZOO_LANES == 16
  return (Vec)_mm512_sqrt_ps((__m512)value);
#elif defined(__x86_64__)
  return (Vec)_mm256_sqrt_ps((__m256)value);
#else
  return (Vec)vsqrtq_f32((float32x4_t)value);
#endif
}

// Returns the sum of each of kLanes rows of 16 values by pairwise summation: i and i + 8, then i
// and i + 4, and so on. If a block has several vectors, `rows` holds their sums in this order.
inline Vec totals(Vec (&rows)[kLanes]) {
  turn(rows);
#pragma GCC unroll 3
  for (int half = kLanes / 2; half > 2; half /= 2) {
#pragma GCC unroll 8
    for (int i = 0; i < half; ++i) rows[i] += rows[i + half];
  }
  return (rows[0] + rows[2]) + (rows[1] + rows[3]);
}

// Normalises `count` slots, at most kLanes; Whole: kLanes slots, whose sums fit in registers.
template <bool Whole>
inline void normalize_slots(Element* in, size_t block, size_t blocks, size_t count, float scale,
                            float epsilon) {
  const size_t slots = Whole ? kLanes : count;
  Vec parts[kLanes][kParts] = {};
  for (size_t b = 0; b < blocks; ++b) {
#pragma GCC unroll 16
    for (size_t i = 0; i < slots; ++i) {
#pragma GCC unroll 4
      for (int p = 0; p < kParts; ++p) {
        const Vec x = load(in + b * block + i * kBlock + p * kLanes);
        parts[i][p] = fused(x, x, parts[i][p]);
      }
    }
  }
  Vec squares[kLanes];
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) {
#pragma GCC unroll 2
    for (int half = kParts / 2; half > 0; half /= 2) {
#pragma GCC unroll 2
      for (int p = 0; p < half; ++p) parts[i][p] += parts[i][p + half];
    }
    squares[i] = parts[i][0];
  }
  const Vec norms = all(1.0f) / root(fused(totals(squares), all(scale), all(epsilon)));
  for (size_t b = 0; b < blocks; ++b) {
#pragma GCC unroll 16
    for (size_t i = 0; i < slots; ++i) {
      // Not by way of memory: loading a part of a vector that was just stored is slow.
      const Vec factor = __builtin_shuffle(norms, Ints{} + static_cast<int>(i));
#pragma GCC unroll 4
      for (int p = 0; p < kParts; ++p) {
        Element* const at = in + b * block + i * kBlock + p * kLanes;
        store(at, load(at) * factor);
      }
    }
  }
}

void pixel_norm(void* map, size_t block, size_t blocks, size_t slots, float scale, float epsilon) {
  Element* in = static_cast<Element*>(map);
  for (; slots >= kLanes; slots -= kLanes) {
    normalize_slots<true>(in, block, blocks, kLanes, scale, epsilon);
    in += kLanes * kBlock;
  }
  if (slots != 0) normalize_slots<false>(in, block, blocks, slots, scale, epsilon);
}

// Operations before the normalisation (blur, bias, noise, leaky ReLU) for one vector of channels.
struct Noisy {
  Noisy(const NormCall& of, int part)
      : call(of),
        in(static_cast<const Element*>(of.in) + part * kLanes),
        bias(load(of.bias + part * kLanes)),
        strength(of.strength ? load(of.strength + part * kLanes) : Vec{}),
        slope(all(of.slope)) {
#pragma GCC unroll 9
    for (int k = 0; k < 9; ++k) {
      blur[k] = of.blur ? load(of.blur + k * kSide + part * kLanes) : Vec{};
    }
  }

  // Returns the values of column x in the rows around y; outside the image they are zeros. Whole:
  // all of these rows are inside.
  template <bool Whole>
  inline void column(size_t y, size_t x, Vec (&values)[3]) const {
    const Element* const middle = in + y * call.in_row + x * call.in_column;
    values[0] = Whole || y > 0 ? load(middle - call.in_row) : Vec{};
    values[1] = load(middle);
    values[2] = Whole || y + 1 < call.height ? load(middle + call.in_row) : Vec{};
  }

  // Returns the sum of the products of three columns with the blur's kernel.
  inline Vec blurred(const Vec (&left)[3], const Vec (&centre)[3], const Vec (&right)[3]) const {
    Vec value = {};
#pragma GCC unroll 3
    for (int k = 0; k < 3; ++k) {
      value = fused(left[k], blur[3 * k], value);
      value = fused(centre[k], blur[3 * k + 1], value);
      value = fused(right[k], blur[3 * k + 2], value);
    }
    return value;
  }

  // Returns leaky(value + bias + strength · noise) for pixel (y, x).
  inline Vec finished(Vec value, size_t y, size_t x) const {
    value = value + bias;
    if (call.noise) {
      const float noise = call.noise[y * call.width + x] * call.noise_scale;
      value = fused(strength, all(noise), value);
    }
    return larger(value, value * slope);
  }

  const NormCall& call;
  const Element* in;
  Vec bias, strength, slope;
  Vec blur[9];
};

// Writes a blurred row of the values to be normalised, and returns their sum. Each column of the
// input is loaded once.
template <bool Whole>
inline Vec prepare_blurred_row(const Noisy& noisy, size_t y, Element* out) {
  const NormCall& call = noisy.call;
  Vec left[3] = {}, centre[3], right[3], sum = {};
  noisy.column<Whole>(y, 0, centre);
  for (size_t x = 0; x < call.width; ++x) {
    if (x + 1 < call.width) {
      noisy.column<Whole>(y, x + 1, right);
    } else {
      right[0] = right[1] = right[2] = Vec{};
    }
    const Vec value = noisy.finished(noisy.blurred(left, centre, right), y, x);
    store(out + x * call.out_column, value);
    sum += value;
#pragma GCC unroll 3
    for (int k = 0; k < 3; ++k) {
      left[k] = centre[k];
      centre[k] = right[k];
    }
  }
  return sum;
}

inline Vec prepare_row(const Noisy& noisy, size_t y, Element* out) {
  const NormCall& call = noisy.call;
  Vec sum = {};
  for (size_t x = 0; x < call.width; ++x) {
    const Vec value = load(noisy.in + y * call.in_row + x * call.in_column);
    const Vec finished = noisy.finished(value, y, x);
    store(out + x * call.out_column, finished);
    sum += finished;
  }
  return sum;
}

// Writes the values to be normalised, and returns their sum over the pixels. Each row is summed
// separately, which loses less to rounding than one long sum.
inline Vec prepare_norm(const NormCall& call, int part, Element* out) {
  const Noisy noisy(call, part);
  Vec total = {};
  for (size_t y = 0; y < call.height; ++y) {
    Element* const row = out + y * call.out_row;
    if (!call.blur) {
      total += prepare_row(noisy, y, row);
    } else if (y == 0 || y + 1 == call.height) {
      total += prepare_blurred_row<false>(noisy, y, row);
    } else {
      total += prepare_blurred_row<true>(noisy, y, row);
    }
  }
  return total;
}

// Returns Σ (x - mean)² over the pixels. Four independent sums per row hide the latency of the
// additions.
inline Vec sum_squares(const NormCall& call, const Element* map, Vec mean) {
  Vec squares = {};
  for (size_t y = 0; y < call.height; ++y) {
    Vec sums[4] = {};
    const Element* const row = map + y * call.out_row;
    for (size_t x = 0; x < call.width; x += 4) {
#pragma GCC unroll 4
      for (size_t i = 0; i < 4; ++i) {
        if (x + i >= call.width) break;
        const Vec apart = load(row + (x + i) * call.out_column) - mean;
        sums[i] = fused(apart, apart, sums[i]);
      }
    }
    squares += (sums[0] + sums[2]) + (sums[1] + sums[3]);
  }
  return squares;
}

void instance_norm(const NormCall& call) {
  const Vec share = all(1.0f / static_cast<float>(call.height * call.width));
  for (int part = 0; part < kParts; ++part) {
    Element* const out = static_cast<Element*>(call.out) + part * kLanes;
    const Vec total = prepare_norm(call, part, out);
    const Vec mean = total * share;
    const Vec deviation = root(fused(sum_squares(call, out, mean), share, all(call.epsilon)));
    const Vec factor = load(call.scale + part * kLanes) / deviation;
    const Vec shift = load(call.shift + part * kLanes);
    const Vec slope = all(call.end_slope);
    for (size_t y = 0; y < call.height; ++y) {
      for (size_t x = 0; x < call.width; ++x) {
        Element* const at = out + y * call.out_row + x * call.out_column;
        const Vec value = fused(load(at) - mean, factor, shift);
        store(at, larger(value, value * slope));
      }
    }
  }
}

void quantize(const QuantizeCall& call) {
  const Element* in = static_cast<const Element*>(call.in);
  uint8_t* out = call.out;
  const Vec factor = all(call.factor);
  const Vec low = all(static_cast<float>(-call.zero));
  const Vec high = all(static_cast<float>(255 - call.zero));
  // Adding 1.5 · 2²³ rounds to whole numbers, which are then the low bits.
  const Vec shift = all(12582912.0f);
  for (size_t slot = 0; slot < call.count; ++slot) {
    for (int p = 0; p < kParts; ++p) {
      const Vec clipped = smaller(larger(load(in + p * kLanes) * factor, low), high) + shift;
      const Ints code = reinterpret_cast<const Ints&>(clipped) + call.zero;
      *reinterpret_cast<Bytes*>(out + p * kLanes) = __builtin_convertvector(code, Bytes);
    }
    in += call.in_step;
    out += call.out_step;
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
