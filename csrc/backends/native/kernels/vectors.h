// Vector type of an instruction set, and element type of a precision: floats, bfloat16 (ZOO_BF16)
// or unsigned bytes (ZOO_BYTES).
#pragma once

#include <utility>

#include "backends/native/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
// Operand of asm statements: a vector register that is read and written.
#define ZOO_VECTOR "+v"
#elif defined(__aarch64__)
#include <arm_neon.h>
#define ZOO_VECTOR "+w"
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

#if defined(ZOO_BYTES) || defined(ZOO_BF16)
struct Bfloat {
  uint16_t bits;
};

// Rounds to nearest, ties to even. On CPUs with AVX512-VNNI but without AVX512-BF16, results are
// floats.
inline void store(Bfloat* to, Vec value) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), (__m256i)_mm512_cvtneps_pbh(value));
}
#endif

#if defined(ZOO_BYTES)
struct Element {
  uint8_t bits;
};

// Stores whole numbers from -128 to 255 as bytes.
inline void store(Element* to, Vec value) {
  const Ints whole = __builtin_convertvector(value, Ints);
  *reinterpret_cast<Bytes*>(to) = __builtin_convertvector(whole, Bytes);
}
#elif defined(ZOO_BF16)
using Element = Bfloat;

inline Vec load(const Element* from) {
  const Halves halves = *reinterpret_cast<const Halves*>(from);
  const Words words = __builtin_convertvector(halves, Words) << 16;
  return reinterpret_cast<const Vec&>(words);
}
#else
using Element = float;
#endif

// Returns a · b + c, rounded once. Kernels are compiled without contraction: every fused operation
// is written as one, so that all compilers and instruction sets round alike.
inline Vec fused(Vec a, Vec b, Vec c) {
#if defined(__x86_64__) && ZOO_LANES == 16
  return (Vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__x86_64__)
  return (Vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
  return (Vec)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#endif
}

// Exchanges the lanes of two rows of a matrix whose index has the bit `Half`, or lacks it.
template <int Half, int... Lane>
inline void exchange(Vec* a, Vec* b, std::integer_sequence<int, Lane...>) {
  const Vec first =
      __builtin_shuffle(*a, *b, Ints{((Lane & Half) == 0 ? Lane : Lane - Half + kLanes)...});
  *b = __builtin_shuffle(*a, *b, Ints{((Lane & Half) == 0 ? Lane + Half : Lane + kLanes)...});
  *a = first;
}

// Transposes a kLanes × kLanes matrix in place by exchanging halves recursively.
template <int Half = kLanes / 2>
inline void turn(Vec (&rows)[kLanes]) {
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) {
    if ((i & Half) != 0) continue;
    exchange<Half>(&rows[i], &rows[i + Half], std::make_integer_sequence<int, kLanes>());
  }
  if constexpr (Half > 1) turn<Half / 2>(rows);
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
#elif defined(__x86_64__)
inline Weights weights_at(const Half* from) {
  return (Vec)_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
inline void store_halves(Half* to, Vec values) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                   _mm256_cvtps_ph((__m256)values, _MM_FROUND_TO_NEAREST_INT));
}
#else
inline Weights weights_at(const Half* from) {
  return (Vec)vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(&from->bits)));
}
inline void store_halves(Half* to, Vec values) {
  vst1_u16(&to->bits, vreinterpret_u16_f16(vcvt_f16_f32((float32x4_t)values)));
}
#endif
inline Broadcast broadcast(const Element* from) { return all(*from); }
inline Sum multiplied(Sum sum, Broadcast x, Weights w) { return fused(x, w, sum); }
#endif

}  // namespace
}  // namespace zoo::native
