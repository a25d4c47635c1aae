// Kernels for input and output images: conversions, transposition and the output functions.
#pragma once

#include "backends/native/kernels/vectors.h"

namespace zoo::native {
namespace {

void load_block(const void* from, float* values) {
  for (int p = 0; p < kParts; ++p) {
    store(values + p * kLanes, load(static_cast<const Element*>(from) + p * kLanes));
  }
}

void store_block(const float* values, void* to) {
  for (int p = 0; p < kParts; ++p) {
    store(static_cast<Element*>(to) + p * kLanes, load(values + p * kLanes));
  }
}

void from_levels(const uint8_t* levels, size_t count, const Scaling& scaling, void* out) {
  Element* const to = static_cast<Element*>(out);
  const auto scaled = [&](Bytes bytes) {
    const Vec level = __builtin_convertvector(__builtin_convertvector(bytes, Ints), Vec);
    return fused(level / all(scaling.divisor), all(scaling.factor), all(scaling.shift));
  };
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    store(to + i, scaled(*reinterpret_cast<const Bytes*>(levels + i)));
  }
  if (i == count) return;
  Bytes rest = {};
  __builtin_memcpy(&rest, levels + i, count - i);
  Element last[kLanes];
  store(last, scaled(rest));
  __builtin_memcpy(to + i, last, (count - i) * sizeof(Element));
}

#ifdef ZOO_BF16
// Transposes 32 slots, or the last 16, of pairs of channels in place of a float.
template <bool Last>
inline void transpose_pairs(const Element* from, float* out, size_t stride) {
  const auto half = [&](size_t slot) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + slot * kBlock));
  };
  Vec rows[kLanes];
#pragma GCC unroll 16
  for (size_t i = 0; i < kLanes; ++i) {
    __m512i pairs = _mm512_zextsi256_si512(half(i));
    if (!Last) pairs = _mm512_inserti64x4(pairs, half(i + kLanes), 1);
    rows[i] = (Vec)pairs;
  }
  turn(rows);
#pragma GCC unroll 8
  for (size_t i = 0; i < kLanes / 2; ++i) {
    store(out + i * stride, rows[i]);
    if (!Last) store(out + i * stride + kLanes, rows[i + kLanes / 2]);
  }
}

void transpose(const void* in, size_t slots, float* out, size_t stride) {
  const Element* from = static_cast<const Element*>(in);
  for (; slots >= 2 * kLanes; slots -= 2 * kLanes) {
    transpose_pairs<false>(from, out, stride);
    from += 2 * kLanes * kBlock;
    out += 2 * kLanes;
  }
  if (slots != 0) transpose_pairs<true>(from, out, stride);
}
#else
void transpose(const void* in, size_t slots, float* out, size_t stride) {
  const Element* const from = static_cast<const Element*>(in);
  for (size_t slot = 0; slot < slots; slot += kLanes) {
    for (int p = 0; p < kParts; ++p) {
      Vec rows[kLanes];
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) {
        rows[i] = load(from + (slot + static_cast<size_t>(i)) * kBlock + p * kLanes);
      }
      turn(rows);
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) {
        store(out + static_cast<size_t>(p * kLanes + i) * stride + slot, rows[i]);
      }
    }
  }
}
#endif

void add(const float* in, size_t count, float* sum) {
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(sum + i, load(sum + i) + load(in + i));
  for (; i < count; ++i) sum[i] += in[i];
}

// Returns e^x, accurate to 2 ulp, with x clamped to [-87, 88]; after expf of the Cephes library.
inline Vec exponential(Vec x) {
  x = smaller(larger(x, all(-87.0f)), all(88.0f));
  const Vec shift = all(12582912.0f);  // 1.5 · 2²³: adding it rounds to whole numbers
  const Vec n = fused(x, all(1.44269504f), shift) - shift;
  Vec r = fused(n, all(-0.693359375f), x);
  r = fused(n, all(2.12194440e-4f), r);
  Vec p = all(1.9875691500e-4f);
  p = fused(p, r, all(1.3981999507e-3f));
  p = fused(p, r, all(8.3334519073e-3f));
  p = fused(p, r, all(4.1665795894e-2f));
  p = fused(p, r, all(1.6666665459e-1f));
  p = fused(p, r, all(5.0000001201e-1f));
  const Vec power = fused(p, r * r, r + all(1.0f));
  const Ints exponent = (__builtin_convertvector(n, Ints) + 127) << 23;
  return power * reinterpret_cast<const Vec&>(exponent);
}

inline Vec squashed(Squash squash, float scale, Vec x) {
  if (squash == Squash::kNone) return x;
  // (tanh x + 1) / 2 is the logistic function of 2x.
  const Vec one = all(1.0f);
  const Vec rate = all(squash == Squash::kSigmoid ? -scale : -2.0f * scale);
  const Vec share = one / (one + exponential(x * rate));
  return squash == Squash::kTanh ? share + share - one : share;
}

void squash(Squash squash, float scale, float low, float high, float* values, size_t count) {
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const Vec y = squashed(squash, scale, load(values + i));
    store(values + i, smaller(larger(y, all(low)), all(high)));
  }
  if (i == count) return;
  float rest[kLanes] = {};
  for (size_t k = i; k < count; ++k) rest[k - i] = values[k];
  const Vec y = squashed(squash, scale, load(rest));
  store(rest, smaller(larger(y, all(low)), all(high)));
  for (size_t k = i; k < count; ++k) values[k] = rest[k - i];
}

void to_levels(const float* values, size_t count, uint8_t* levels) {
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const Vec scaled = fused(load(values + i), all(255.0f), all(0.5f));
    const Ints whole = __builtin_convertvector(scaled, Ints);
    *reinterpret_cast<Bytes*>(levels + i) = __builtin_convertvector(whole, Bytes);
  }
  for (; i < count; ++i) {
    levels[i] = static_cast<uint8_t>(__builtin_fmaf(values[i], 255.0f, 0.5f));
  }
}

}  // namespace
}  // namespace zoo::native
