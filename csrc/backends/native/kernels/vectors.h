// Vector type of an instruction set, and element type of a precision: floats, bfloat16 (ZOO_BF16)
// or unsigned bytes (ZOO_BYTES).
#pragma once

#include "backends/native/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace zoo::native {
namespace {

constexpr int kLanes = ZOO_LANES;
constexpr int kSide = static_cast<int>(kBlock);
constexpr int kParts = kSide / kLanes;  // vectors per block

typedef float Vec __attribute__((vector_size(kLanes * sizeof(float)), may_alias));
typedef float Loose
    __attribute__((vector_size(kLanes * sizeof(float)), may_alias, aligned(sizeof(float))));
typedef int32_t Ints __attribute__((vector_size(kLanes * sizeof(int32_t)), may_alias));
typedef uint8_t Bytes __attribute__((vector_size(kLanes), may_alias, aligned(1)));

inline Vec load(const float* from) { return *reinterpret_cast<const Loose*>(from); }
inline void store(float* to, Vec value) { *reinterpret_cast<Loose*>(to) = value; }

inline Vec all(float value) { return value - Vec{}; }
inline Vec larger(Vec a, Vec b) { return a > b ? a : b; }
inline Vec smaller(Vec a, Vec b) { return a < b ? a : b; }

typedef uint16_t Halves
    __attribute__((vector_size(kLanes * sizeof(uint16_t)), may_alias, aligned(2)));
typedef uint32_t Words __attribute__((vector_size(kLanes * sizeof(uint32_t)), may_alias));

#if defined(ZOO_BYTES)
struct Element {
  uint8_t bits;
};
// Result of the tiles.
struct Bfloat {
  uint16_t bits;
};

// Stores whole numbers from -128 to 255 as bytes.
inline void store(Element* to, Vec value) {
  const Ints whole = __builtin_convertvector(value, Ints);
  *reinterpret_cast<Bytes*>(to) = __builtin_convertvector(whole, Bytes);
}
// Rounds to nearest, ties to even. The CPU may have no instruction for it; values are finite.
inline void store(Bfloat* to, Vec value) {
  const Words bits = reinterpret_cast<const Words&>(value);
  const Words rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  *reinterpret_cast<Halves*>(to) = __builtin_convertvector(rounded, Halves);
}
#elif defined(ZOO_BF16)
struct Element {
  uint16_t bits;
};

inline Vec load(const Element* from) {
  const Halves halves = *reinterpret_cast<const Halves*>(from);
  const Words words = __builtin_convertvector(halves, Words) << 16;
  return reinterpret_cast<const Vec&>(words);
}
// Rounds to nearest, ties to even.
inline void store(Element* to, Vec value) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), (__m256i)_mm512_cvtneps_pbh(value));
}
#else
using Element = float;
#endif

// Transposes a kLanes × kLanes matrix in place by exchanging halves recursively.
inline void turn(Vec (&rows)[kLanes]) {
#pragma GCC unroll 4
  for (int half = kLanes / 2; half > 0; half /= 2) {
    Ints first, second;
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) {
      first[i] = (i & half) == 0 ? i : i - half + kLanes;
      second[i] = (i & half) == 0 ? i + half : i + kLanes;
    }
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) {
      if ((i & half) != 0) continue;
      const Vec a = rows[i], b = rows[i + half];
      rows[i] = __builtin_shuffle(a, b, first);
      rows[i + half] = __builtin_shuffle(a, b, second);
    }
  }
}

#if defined(ZOO_BF16) || defined(ZOO_BYTES)
// Number of channels multiplied at a time: the weights of consecutive channels are interleaved.
constexpr int kTogether = 4 / sizeof(Element);
using Weights = __m512i;
using Broadcast = __m512i;

inline Weights weights_at(const Element* from) {
  return _mm512_loadu_si512(reinterpret_cast<const void*>(from));
}
inline Broadcast broadcast(const Element* from) {
  int together;
  __builtin_memcpy(&together, from, sizeof together);
  return _mm512_set1_epi32(together);
}
#endif
#if defined(ZOO_BYTES)
using Sum = __m512i;
inline Sum multiplied(Sum sum, Broadcast x, Weights w) { return _mm512_dpbusd_epi32(sum, x, w); }
#elif defined(ZOO_BF16)
using Sum = Vec;
inline Sum multiplied(Sum sum, Broadcast x, Weights w) {
  return _mm512_dpbf16_ps(sum, (__m512bh)x, (__m512bh)w);
}
#else
using Sum = Vec;
#define ZOO_HALVES  // dense layers read weights in half precision
constexpr int kTogether = 1;
using Weights = Vec;
using Broadcast = Vec;

// Weight in IEEE half precision, widened when it is loaded.
struct Half {
  uint16_t bits;
};

inline Weights weights_at(const Element* from) { return load(from); }
#if defined(__x86_64__) && ZOO_LANES == 16
inline Weights weights_at(const Half* from) {
  return (Vec)_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
inline void store_halves(Half* to, Vec values) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                      _mm512_cvtps_ph((__m512)values, _MM_FROUND_TO_NEAREST_INT));
}
#else
inline Weights weights_at(const Half* from) {
  return (Vec)_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
inline void store_halves(Half* to, Vec values) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                   _mm256_cvtps_ph((__m256)values, _MM_FROUND_TO_NEAREST_INT));
}
#endif
inline Broadcast broadcast(const Element* from) { return all(*from); }
inline Sum multiplied(Sum sum, Broadcast x, Weights w) { return sum + x * w; }
#endif

}  // namespace
}  // namespace zoo::native
